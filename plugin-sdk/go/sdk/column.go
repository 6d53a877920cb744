package weir

import (
	"cmp"
	"errors"
	"iter"
	"math"
	"reflect"
	"slices"
	"unsafe"

	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_tables"
)

// Kind is what the values of a column are read as.
type Kind interface {
	uint64 | int64 | float64 | Text | Histogram
}

// Read reads a whole column: `calls, err := weir.Read[uint64](table, "calls")`. It fails with `unknown`, or with
// `kind` if the column holds something else, also where there are no rows. Numbers are not copied if the host allows a
// page that large.
func Read[K Kind](t *Table, column string) ([]K, error) {
	var all []K
	for page, err := range Pages[K](t, column, t.rows) {
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = page
		} else {
			all = append(all, page...)
		}
	}
	return all, nil
}

// Pages reads a column in pages of so many rows, or fewer where the host allows no more, so that a large table
// takes little memory. An error is the last that it yields.
func Pages[K Kind](t *Table, column string, rows int) iter.Seq2[[]K, error] {
	return func(yield func([]K, error) bool) {
		place, err := findAs[K](t, column)
		if err != nil {
			yield(nil, err)
			return
		}
		pages[K](t.number, place, 0, t.rows, rows)(yield)
	}
}

// pages reads so many of a column's rows, from the first on, some at a time.
func pages[K Kind](table, place uint32, first, count, rows int) iter.Seq2[[]K, error] {
	return func(yield func([]K, error) bool) {
		for end := first + count; first < end; {
			rows = max(1, min(rows, end-first))
			page, err := read[K](table, place, uint32(first), uint32(rows))
			if failure := (*Failure)(nil); errors.As(err, &failure) && failure.Reason == "too-large" && rows > 1 {
				rows = (rows + 1) / 2
				continue
			}
			if !yield(page, err) || err != nil {
				return
			}
			first += rows
		}
	}
}

// findAs finds a column of this kind. The host looks at the kind only where there are rows to read.
func findAs[K Kind](t *Table, column string) (uint32, error) {
	place, err := t.find(column)
	if err != nil {
		return 0, err
	}
	if want, holds := kinds[reflect.TypeFor[K]()], t.columns[place].Kind; want != holds {
		return 0, Fail("kind", "column "+column+" of table "+t.name+" holds "+holds+", not "+want)
	}
	return place, nil
}

// Raw is the bytes of some of a column's rows, little-endian: 8 a row for numbers, and 4 for texts, which are the
// codes that [Table.Dictionary] gives for the same rows.
func (t *Table) Raw(column string, first, rows int) ([]byte, error) {
	place, err := t.find(column)
	if err != nil {
		return nil, err
	}
	return answer(weir_plugin_tables.ReadRaw(t.number, place, uint32(first), uint32(rows)))
}

// Dictionary reads some rows of a column of texts as the host has them: a code for each row, and the text of each
// code. Work that is the same for the same text can be done once a code.
func (t *Table) Dictionary(column string, first, rows int) (codes []uint32, words []Text, err error) {
	place, err := t.find(column)
	if err != nil {
		return nil, nil, err
	}
	return dictionary(t.number, place, uint32(first), uint32(rows))
}

func dictionary(table, column, first, rows uint32) (codes []uint32, words []Text, err error) {
	texts, err := answer(weir_plugin_tables.ReadTexts(table, column, first, rows))
	if err != nil {
		return nil, nil, err
	}
	// The bytes are never written to again.
	all := Text(unsafe.String(unsafe.SliceData(texts.Bytes), len(texts.Bytes)))
	words = make([]Text, max(0, len(texts.Offsets)-1))
	for i := range words {
		words[i] = all[texts.Offsets[i]:texts.Offsets[i+1]]
	}
	return texts.Codes, words, nil
}

func read[K Kind](table, column, first, rows uint32) (page []K, err error) {
	switch page := any(&page).(type) {
	case *[]uint64:
		*page, err = answer(weir_plugin_tables.ReadU64(table, column, first, rows))
	case *[]int64:
		*page, err = answer(weir_plugin_tables.ReadS64(table, column, first, rows))
	case *[]float64:
		*page, err = answer(weir_plugin_tables.ReadF64(table, column, first, rows))
	case *[]Text:
		*page, err = readTexts(table, column, first, rows)
	case *[]Histogram:
		*page, err = readHistograms(table, column, first, rows)
	}
	return page, err
}

func readTexts(table, column, first, rows uint32) ([]Text, error) {
	codes, words, err := dictionary(table, column, first, rows)
	if err != nil {
		return nil, err
	}
	page := make([]Text, len(codes))
	for i, code := range codes {
		page[i] = words[code]
	}
	return page, nil
}

func readHistograms(table, column, first, rows uint32) ([]Histogram, error) {
	buckets, err := answer(weir_plugin_tables.ReadBuckets(table, column, first, rows))
	if err != nil {
		return nil, err
	}
	page := make([]Histogram, len(buckets.Sums))
	for i := range page {
		from, to := buckets.Offsets[i], buckets.Offsets[i+1]
		page[i] = Histogram{
			Count:  buckets.Totals[i],
			Sum:    buckets.Sums[i],
			lower:  buckets.Lower,
			bucket: buckets.Bucket[from:to],
			counts: buckets.Counts[from:to],
		}
	}
	return page, nil
}

// Histogram is the histogram of one row.
type Histogram struct {
	// How many values there are. Those that found no room for a bucket are in none.
	Count uint64
	// The sum of the values.
	Sum float64

	lower  []float64
	bucket []uint32
	counts []uint64
}

// Bucket counts the values v with Low <= v < High. High is infinite in the last bucket there can be.
type Bucket struct {
	Low, High float64
	Count     uint64
}

// Len is how many buckets there are that are not empty.
func (h Histogram) Len() int { return len(h.counts) }

// Quantile is the bucket of the smallest value that at least this share (0 to 1) of the values with a bucket does not
// exceed, if there are any: the 99th percentile is in that of 0.99.
func (h Histogram) Quantile(share float64) (bucket Bucket, found bool) {
	var values, seen uint64
	for _, count := range h.counts {
		values += count
	}
	rank := math.Ceil(float64(values) * share)
	for bucket := range h.Buckets() {
		seen += bucket.Count
		if float64(seen) >= rank || seen == values {
			return bucket, true
		}
	}
	return Bucket{}, false
}

// Merge is all of them added up, whichever rows, tables or intervals they are of. Where there are many, the host adds up
// faster: `table.GroupBy("comm").Sum("latency")`.
func Merge(histograms ...Histogram) Histogram {
	var all Histogram
	var buckets []Bucket
	for _, histogram := range histograms {
		all.Count += histogram.Count
		all.Sum += histogram.Sum
		buckets = slices.AppendSeq(buckets, histogram.Buckets())
	}
	slices.SortFunc(buckets, func(a, b Bucket) int { return cmp.Compare(a.Low, b.Low) })
	for i, bucket := range buckets {
		if i > 0 && buckets[i-1].Low == bucket.Low {
			all.counts[len(all.counts)-1] += bucket.Count
			continue
		}
		// Where one does not begin at the end of the one before, there is a gap.
		if last := len(all.lower) - 1; last < 0 || all.lower[last] != bucket.Low {
			all.lower = append(all.lower, bucket.Low)
		}
		all.bucket = append(all.bucket, uint32(len(all.lower)-1))
		all.counts = append(all.counts, bucket.Count)
		all.lower = append(all.lower, bucket.High)
	}
	return all
}

// Buckets goes through the buckets that are not empty, from low to high.
func (h Histogram) Buckets() iter.Seq[Bucket] {
	return func(yield func(Bucket) bool) {
		for i, bucket := range h.bucket {
			high := math.Inf(1)
			if int(bucket)+1 < len(h.lower) {
				high = h.lower[bucket+1]
			}
			if !yield(Bucket{h.lower[bucket], high, h.counts[i]}) {
				return
			}
		}
	}
}
