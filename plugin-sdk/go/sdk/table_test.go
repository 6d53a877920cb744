package weir

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func example() *Table {
	return &Table{name: "example", columns: []Column{{Name: "comm", Kind: "text"}, {Name: "calls", Kind: "u64"}}}
}

// There is no host here, so nothing is asked.

func TestAStepOutOfPlaceIsTold(t *testing.T) {
	for _, question := range []Question{
		example().Filter(Gt("calls", 1)).Limit(3),
		example().SortAsc("calls").Sum("calls"),
	} {
		if failure := (*Failure)(nil); !errors.As(question.misplaced, &failure) || failure.Reason != "misplaced" {
			t.Errorf("%v", question.misplaced)
		}
	}
}

func TestAColumnThatIsNotThereIsToldWithThoseThatAre(t *testing.T) {
	_, err := example().find("call")
	if want := "there is no column call in table example; there is comm, calls"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestAQuestionCanBeContinuedInSeveralWays(t *testing.T) {
	groups := example().GroupBy("comm").Sum("calls")
	most, least := groups.Max("calls"), groups.Min("calls")
	if most.steps[0].show[1].op != "max" || least.steps[0].show[1].op != "min" || len(groups.steps[0].show) != 1 {
		t.Errorf("%v %v %v", groups.steps, most.steps, least.steps)
	}
}

func TestARowIsNamedByItsKeys(t *testing.T) {
	for want, keys := range map[string][]key{
		"all":                 nil,
		"my cat":              {{"comm", "my cat", true}},
		`comm="cat" pid=12`:   {{"comm", "cat", true}, {"pid", "12", false}},
		`a="a b" b="c"`:       {{"a", "a b", true}, {"b", "c", true}},
		`a="a" b="b c"`:       {{"a", "a", true}, {"b", "b c", true}},
		`a="x\" b=\"y" b="z"`: {{"a", `x" b="y`, true}, {"b", "z", true}},
	} {
		if joined := join(keys); joined != want {
			t.Errorf("%s, not %s", joined, want)
		}
	}
}

func TestAColumnIsOfItsKindAlsoWithoutRows(t *testing.T) {
	var failure *Failure
	if _, err := findAs[int64](example(), "calls"); !errors.As(err, &failure) || failure.Reason != "kind" {
		t.Error(err)
	}
	if place, err := findAs[uint64](example(), "calls"); err != nil || place != 1 {
		t.Error(place, err)
	}
}

func TestHistogramsAddUpAndHaveQuantiles(t *testing.T) {
	lower := []float64{0, 1, 2, 3}
	one := Histogram{11, 7, lower, []uint32{0, 1, 3}, []uint64{5, 4, 1}} // And one without a bucket.
	for share, low := range map[float64]float64{0: 0, 0.5: 0, 0.51: 1, 0.9: 1, 0.91: 3, 1: 3, -1: 0, 2: 3} {
		if bucket, found := one.Quantile(share); !found || bucket.Low != low {
			t.Errorf("%v is in %v, not from %v on", share, bucket, low)
		}
	}
	if bucket, found := (Histogram{Count: 3}).Quantile(0.5); found {
		t.Error(bucket)
	}

	other := Histogram{2, -1, []float64{-2, 0, 1, 2}, []uint32{0, 2}, []uint64{1, 1}}
	all := Merge(one, other, Histogram{Count: 1})
	want := []Bucket{{-2, 0, 1}, {0, 1, 5}, {1, 2, 5}, {3, math.Inf(1), 1}}
	if got := slices.Collect(all.Buckets()); !slices.Equal(got, want) || all.Count != 14 || all.Sum != 6 {
		t.Error(got, all.Count, all.Sum)
	}
	if empty := Merge(); empty.Len() != 0 || empty.Count != 0 {
		t.Error(empty)
	}
}

func TestColumnsAreScannedIntoFieldsOfTheirKind(t *testing.T) {
	type right struct {
		Calls uint64 `weir:"calls"`
		Comm  Text   `weir:"comm"`
		Other int
	}
	if err := Fits[right](example()); err != nil {
		t.Error(err)
	}
	type wrong struct {
		Calls int64 `weir:"calls"`
	}
	want := "column calls of table example holds u64, which is no int64"
	if err := Fits[wrong](example()); err == nil || err.Error() != want {
		t.Error(err)
	}
}
