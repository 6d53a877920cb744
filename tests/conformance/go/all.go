package main

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"

	weir "github.com/weir-tracing/weir/plugin-sdk/go/sdk"
)

const pageRows = 10_000

// All of a table, in one report.
func all(table *weir.Table) error {
	interval := weir.ThisInterval()
	coverage, err := table.Coverage()
	if err != nil {
		return err
	}
	missed := "none"
	if coverage.MissedKnown {
		missed = fmt.Sprint(coverage.Missed)
	}
	fields := []weir.Field{
		weir.F("interval", fmt.Sprintf("%d %d.%09d %t %d", interval.Number, interval.Began.Unix(),
			interval.Began.Nanosecond(), interval.Last, interval.Skipped)),
		weir.F("rows", table.Len()),
		weir.F("coverage", fmt.Sprintf("%d %d %s", coverage.Events, coverage.Overflow, missed)),
	}
	for _, column := range table.Columns() {
		value, err := whole(table, column)
		if err != nil {
			return err
		}
		fields = append(fields, weir.F(column.Name, value))
	}
	raw, err := raw(table)
	if err != nil {
		return err
	}
	return weir.Report(weir.Info, "tally", table.Name(), append(fields, weir.F("raw", raw))...)
}

func whole(table *weir.Table, column weir.Column) (string, error) {
	switch column.Kind {
	case "u64":
		return numbers(weir.Pages[uint64](table, column.Name, pageRows), func(a, b uint64) bool { return a > b })
	case "s64":
		return numbers(weir.Pages[int64](table, column.Name, pageRows), func(a, b int64) bool { return a < b })
	case "f64":
		return floats(table, column.Name)
	case "text":
		return texts(table, column.Name)
	case "buckets":
		return buckets(table, column.Name)
	default:
		return "", weir.Fail("kind", column.Kind)
	}
}

// The sum, and the one that comes before all others.
func numbers[N uint64 | int64](pages iter.Seq2[[]N, error], before func(N, N) bool) (string, error) {
	var sum, first N
	rows := 0
	for page, err := range pages {
		if err != nil {
			return "", err
		}
		for _, value := range page {
			sum += value
			if rows == 0 || before(value, first) {
				first = value
			}
			rows++
		}
	}
	return fmt.Sprint(sum, " ", first), nil
}

func floats(table *weir.Table, column string) (string, error) {
	sum := 0.0
	for page, err := range weir.Pages[float64](table, column, pageRows) {
		if err != nil {
			return "", err
		}
		for _, value := range page {
			if !math.IsNaN(value) && !math.IsInf(value, 0) {
				sum += value
			}
		}
	}
	return fmt.Sprintf("%016x", math.Float64bits(sum)), nil
}

func texts(table *weir.Table, column string) (string, error) {
	hash := newHash
	for page, err := range weir.Pages[weir.Text](table, column, pageRows) {
		if err != nil {
			return "", err
		}
		for _, text := range page {
			hash = hash.add([]byte(text)).add([]byte{0xff})
		}
	}
	return hash.String(), nil
}

func buckets(table *weir.Table, column string) (string, error) {
	var entries, counts, totals uint64
	var row uint32
	var entry [20]byte
	hash := newHash
	for page, err := range weir.Pages[weir.Histogram](table, column, pageRows) {
		if err != nil {
			return "", err
		}
		for _, histogram := range page {
			for bucket := range histogram.Buckets() {
				entries++
				counts += bucket.Count
				binary.LittleEndian.PutUint32(entry[0:], row)
				binary.LittleEndian.PutUint64(entry[4:], math.Float64bits(bucket.Low))
				binary.LittleEndian.PutUint64(entry[12:], bucket.Count)
				hash = hash.add(entry[:])
			}
			totals += histogram.Count
			row++
		}
	}
	return fmt.Sprint(entries, " ", counts, " ", totals, " ", hash), nil
}

func raw(table *weir.Table) (hash, error) {
	hash := newHash
	for _, name := range measures(table, 1) {
		for first := 0; first < table.Len(); first += pageRows {
			bytes, err := table.Raw(name, first, min(pageRows, table.Len()-first))
			if err != nil {
				return hash, err
			}
			hash = hash.add(bytes)
		}
	}
	return hash, nil
}

// FNV-1a, 64 bits.
type hash uint64

const newHash hash = 0xcbf29ce484222325

func (h hash) add(bytes []byte) hash {
	for _, b := range bytes {
		h = (h ^ hash(b)) * 0x100000001b3
	}
	return h
}

func (h hash) String() string { return fmt.Sprintf("%016x", uint64(h)) }
