package weir

import (
	"errors"
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
