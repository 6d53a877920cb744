package weir

import (
	"reflect"
	"slices"

	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_questions"
)

// Question is a question about a table, in steps, each about the answer to the one before. The host answers it at
// the speed of native code. Nothing is asked before [Question.Ask].
type Question struct {
	table *Table
	steps []step
	// The first step that makes no sense after the one before it.
	misplaced error
}

type step struct {
	every   []Condition
	by      []string
	show    []shown
	sort    string
	descend bool
	limit   uint32
	kind    stepKind
}

type stepKind uint8

const (
	filter stepKind = iota
	group
	sort
)

type shown struct {
	op, column string
	argument   float64
}

// Value is what a column can be compared with. Numbers compare by value, whatever their kinds, texts by their bytes.
type Value interface {
	~int | ~int32 | ~int64 | ~uint32 | ~uint64 | ~float64 | ~string
}

// Condition is what holds for some rows and not for others.
type Condition struct {
	column, op string
	value      weir_plugin_questions.Literal
}

func Eq[V Value](column string, value V) Condition { return Condition{column, "eq", literal(value)} }
func Ne[V Value](column string, value V) Condition { return Condition{column, "ne", literal(value)} }
func Lt[V Value](column string, value V) Condition { return Condition{column, "lt", literal(value)} }
func Le[V Value](column string, value V) Condition { return Condition{column, "le", literal(value)} }
func Gt[V Value](column string, value V) Condition { return Condition{column, "gt", literal(value)} }
func Ge[V Value](column string, value V) Condition { return Condition{column, "ge", literal(value)} }

// Prefix holds for texts that begin so.
func Prefix[V ~string](column string, value V) Condition {
	return Condition{column, "prefix", literal(value)}
}

func literal[V Value](value V) weir_plugin_questions.Literal {
	switch value := reflect.ValueOf(value); value.Kind() {
	case reflect.Float64:
		return weir_plugin_questions.MakeLiteralFloat(value.Float())
	case reflect.String:
		return weir_plugin_questions.MakeLiteralText([]byte(value.String()))
	case reflect.Uint32, reflect.Uint64:
		return weir_plugin_questions.MakeLiteralUnsigned(value.Uint())
	default:
		return weir_plugin_questions.MakeLiteralSigned(value.Int())
	}
}

func (t *Table) question() Question { return Question{table: t} }

// Filter asks for the rows for which every condition holds.
func (t *Table) Filter(every ...Condition) Question { return t.question().Filter(every...) }

// GroupBy asks for one row for each combination of values in these columns, and one of all rows if there are none.
// The answer has these columns, and what is shown of each group, under names like `sum(calls)`.
//
// The overflow row's keys read as 0 or empty: have `overflow` among the columns, or filter it out first.
func (t *Table) GroupBy(columns ...string) Question { return t.question().GroupBy(columns...) }

// SortAsc asks for the rows by ascending values of a column.
func (t *Table) SortAsc(column string) Question { return t.question().SortAsc(column) }

// SortDesc asks for the rows by descending values of a column; a limit keeps the largest.
func (t *Table) SortDesc(column string) Question { return t.question().SortDesc(column) }

// Filter keeps the rows for which every condition holds.
func (q Question) Filter(every ...Condition) Question {
	return q.then(step{kind: filter, every: every})
}

// GroupBy is [Table.GroupBy] of the answer so far.
func (q Question) GroupBy(columns ...string) Question {
	return q.then(step{kind: group, by: columns})
}

// SortAsc is [Table.SortAsc] of the answer so far.
func (q Question) SortAsc(column string) Question {
	return q.then(step{kind: sort, sort: column})
}

// SortDesc is [Table.SortDesc] of the answer so far.
func (q Question) SortDesc(column string) Question {
	return q.then(step{kind: sort, sort: column, descend: true})
}

// Limit keeps so many of the rows that were sorted, and all if it is 0.
func (q Question) Limit(rows int) Question {
	return q.change(sort, "Limit comes right after SortAsc or SortDesc", func(s *step) { s.limit = uint32(rows) })
}

// Sum shows each group's sum; of histograms, bucket by bucket.
func (q Question) Sum(column string) Question { return q.show("sum", column, 0) }

// Min shows each group's least value.
func (q Question) Min(column string) Question { return q.show("min", column, 0) }

// Max shows each group's greatest value.
func (q Question) Max(column string) Question { return q.show("max", column, 0) }

// Mean shows each group's mean; of histograms and averages that of all values.
func (q Question) Mean(column string) Question { return q.show("mean", column, 0) }

// Share shows each group's sum by the sum over all groups, 0 to 1.
func (q Question) Share(column string) Question { return q.show("share", column, 0) }

// Count shows how many rows each group has.
func (q Question) Count(column string) Question { return q.show("count", column, 0) }

// Quantile shows the smallest value that at least this share (0 to 1) of each group's values does not exceed.
func (q Question) Quantile(column string, share float64) Question {
	return q.show("quantile", column, share)
}

func (q Question) show(op, column string, argument float64) Question {
	return q.change(group, "what is shown of a group comes right after GroupBy", func(s *step) {
		s.show = append(slices.Clip(s.show), shown{op, column, argument})
	})
}

// A question is a value, so that one can be continued in several ways: no step is changed in place.
func (q Question) then(s step) Question {
	q.steps = append(slices.Clip(q.steps), s)
	return q
}

func (q Question) change(kind stepKind, otherwise string, change func(*step)) Question {
	last := len(q.steps) - 1
	if last < 0 || q.steps[last].kind != kind {
		if q.misplaced == nil {
			q.misplaced = Fail("misplaced", otherwise)
		}
		return q
	}
	q.steps = slices.Clone(q.steps)
	change(&q.steps[last])
	return q
}

// Ask asks, and gives the answer, which lives until Analyze returns. It fails with `unknown`, `kind`, `bounds`,
// `quota` or `too-large`, and with `misplaced` if a step cannot follow the one before it.
func (q Question) Ask() (*Table, error) {
	if q.misplaced != nil {
		return nil, q.misplaced
	}
	table := q.table
	for _, step := range q.steps {
		number, err := step.ask(table)
		if err != nil {
			return nil, err
		}
		if table, err = open(number, table.name); err != nil {
			return nil, err
		}
	}
	return table, nil
}

func (s step) ask(table *Table) (uint32, error) {
	switch s.kind {
	case filter:
		every := make([]weir_plugin_questions.Condition, len(s.every))
		for i, condition := range s.every {
			column, err := table.find(condition.column)
			if err != nil {
				return 0, err
			}
			every[i] = weir_plugin_questions.Condition{Column: column, Op: condition.op, Value: condition.value}
		}
		return answer(weir_plugin_questions.Filter(table.number, every))
	case group:
		by := make([]uint32, len(s.by))
		for i, name := range s.by {
			column, err := table.find(name)
			if err != nil {
				return 0, err
			}
			by[i] = column
		}
		show := make([]weir_plugin_questions.Aggregate, len(s.show))
		for i, shown := range s.show {
			column, err := table.find(shown.column)
			if err != nil {
				return 0, err
			}
			show[i] = weir_plugin_questions.Aggregate{Column: column, Op: shown.op, Argument: shown.argument}
		}
		return answer(weir_plugin_questions.Group(table.number, by, show))
	default:
		column, err := table.find(s.sort)
		if err != nil {
			return 0, err
		}
		return answer(weir_plugin_questions.Sort(table.number, column, s.descend, s.limit))
	}
}
