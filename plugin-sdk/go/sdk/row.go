package weir

import (
	"iter"
	"reflect"
	"strings"
)

// How many rows are read at once. Looking at one row of a large table should not read all of it, and reading all of it
// should take few calls.
const pageRows = 8192

// Row is one row of a table, whose cells are read when they are looked at.
type Row struct {
	page  *page
	index int
}

// Some rows of a table, with the columns that were read of them so far.
type page struct {
	table       *Table
	first, rows int
	columns     []any
}

// Rows goes through the rows, in order, with their numbers from 0. It is for small tables, and for columns that are
// known only at run time; [Scan] is for those that are known before.
func (t *Table) Rows() iter.Seq2[int, Row] {
	return func(yield func(int, Row) bool) {
		var current *page
		for i := range t.rows {
			if i%pageRows == 0 {
				current = &page{t, i, min(pageRows, t.rows-i), make([]any, len(t.columns))}
			}
			if !yield(i, Row{current, i - current.first}) {
				return
			}
		}
	}
}

// Cell is the value in a column: `calls, err := weir.Cell[uint64](row, "calls")`. It fails with `unknown` or `kind`.
func Cell[K Kind](r Row, column string) (K, error) {
	place, err := r.page.table.find(column)
	if err != nil {
		return *new(K), err
	}
	return cell[K](r, place)
}

func cell[K Kind](r Row, place uint32) (K, error) {
	values, is := r.page.columns[place].([]K)
	if !is {
		for some, err := range pages[K](r.page.table.number, place, r.page.first, r.page.rows, r.page.rows) {
			if err != nil {
				return *new(K), err
			}
			if values == nil {
				values = some
			} else {
				values = append(values, some...)
			}
		}
		r.page.columns[place] = values
	}
	return values[r.index], nil
}

// IsOverflow says whether this is the row of the events that found no row of their own. Its keys mean nothing.
func (r Row) IsOverflow() (bool, error) {
	if _, err := r.page.table.find("overflow"); err != nil {
		return false, nil
	}
	overflow, err := Cell[uint64](r, "overflow")
	return overflow != 0, err
}

// Key is all of the row's keys as one text for people, never the same for two rows: one key as it is, several as
// `comm="cat" pid=12`, and `all` in a table that has none.
func (r Row) Key() (string, error) {
	var keys []key
	for _, column := range r.page.table.columns {
		if column.Role != "key" {
			continue
		}
		shown, err := r.show(column)
		if err != nil {
			return "", err
		}
		keys = append(keys, key{column.Name, shown, column.Kind == "text"})
	}
	return join(keys), nil
}

type key struct {
	name, shown string
	isText      bool
}

func join(keys []key) string {
	switch len(keys) {
	case 0:
		return "all"
	case 1:
		return keys[0].shown
	}
	joined := make([]string, len(keys))
	for i, key := range keys {
		if key.isText {
			// Quotes keep a text from looking like the key after it.
			key.shown = `"` + strings.ReplaceAll(key.shown, `"`, `\"`) + `"`
		}
		joined[i] = key.name + "=" + key.shown
	}
	return strings.Join(joined, " ")
}

func (r Row) show(column Column) (string, error) {
	switch column.Kind {
	case "u64":
		value, err := Cell[uint64](r, column.Name)
		return show(value), err
	case "s64":
		value, err := Cell[int64](r, column.Name)
		return show(value), err
	case "f64":
		value, err := Cell[float64](r, column.Name)
		return show(value), err
	case "text":
		value, err := Cell[Text](r, column.Name)
		return value.String(), err
	default:
		return "", Fail("kind", "column "+column.Name+" holds "+column.Kind+", which is no key")
	}
}

// Scan goes through the rows as values of a struct, whose fields name their columns. Fields have the types of [Kind].
//
//	type row struct {
//		Comm  weir.Text `weir:"comm"`
//		Calls uint64    `weir:"calls"`
//	}
//	for row, err := range weir.Scan[row](table) { … }
//
// An error is the last that it yields.
func Scan[T any](t *Table) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		places, err := scanned(t, reflect.TypeFor[T]())
		if err != nil {
			yield(*new(T), err)
			return
		}
		for _, row := range t.Rows() {
			var value T
			err := row.scan(reflect.ValueOf(&value).Elem(), places)
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}

// Fits says in Configure, before there are rows, whether [Scan] would find its columns in a table.
func Fits[T any](t *Table) error {
	_, err := scanned(t, reflect.TypeFor[T]())
	return err
}

// A field's number, and the place of its column.
type scan struct {
	field int
	place uint32
}

var kinds = map[reflect.Type]string{
	reflect.TypeFor[uint64]():    "u64",
	reflect.TypeFor[int64]():     "s64",
	reflect.TypeFor[float64]():   "f64",
	reflect.TypeFor[Text]():      "text",
	reflect.TypeFor[Histogram](): "buckets",
}

func scanned(t *Table, target reflect.Type) ([]scan, error) {
	var scans []scan
	for i := range target.NumField() {
		field := target.Field(i)
		column, is := field.Tag.Lookup("weir")
		if !is {
			continue
		}
		if !field.IsExported() {
			return nil, Fail("kind", "field "+field.Name+" is not exported, so nothing can be scanned into it")
		}
		place, err := t.find(column)
		if err != nil {
			return nil, err
		}
		if kind := t.columns[place].Kind; kinds[field.Type] != kind {
			what := "column " + column + " of table " + t.name + " holds " + kind
			return nil, Fail("kind", what+", which is no "+field.Type.String())
		}
		scans = append(scans, scan{i, place})
	}
	return scans, nil
}

func (r Row) scan(target reflect.Value, scans []scan) (err error) {
	for _, scan := range scans {
		switch field := target.Field(scan.field).Addr().Interface().(type) {
		case *uint64:
			*field, err = cell[uint64](r, scan.place)
		case *int64:
			*field, err = cell[int64](r, scan.place)
		case *float64:
			*field, err = cell[float64](r, scan.place)
		case *Text:
			*field, err = cell[Text](r, scan.place)
		case *Histogram:
			*field, err = cell[Histogram](r, scan.place)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
