package weir

import (
	"slices"
	"strings"

	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_tables"
	"go.bytecodealliance.org/pkg/wit/runtime"
)

// Table is a table that was granted, or the answer to a question.
type Table struct {
	number  uint32
	name    string
	columns []Column
	rows    int
}

// Column says what a column of a table is.
type Column struct {
	Name string
	// `overflow`, `key`, `count`, `sum`, `min`, `max`, `avg`, `stats`, `hist`, `lhist`, or what a question showed.
	Role string
	// How it is read: `u64`, `s64`, `f64`, `text` or `buckets`.
	Kind string
	// Such as `ns`; empty where it is not known.
	Unit string
}

// Coverage says how complete a table is.
type Coverage struct {
	// How many events were counted, and how many of those found no row of their own.
	Events, Overflow uint64
	// How many the kernel skipped before Weir saw them, if this kernel tells.
	Missed      uint64
	MissedKnown bool
}

// Tables are the tables that were granted, in the order of the grant.
func Tables() ([]*Table, error) {
	var tables []*Table
	for number, name := range names() {
		table, err := open(uint32(number), name)
		if err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	return tables, nil
}

// OpenTable is the granted table of this name.
func OpenTable(name string) (*Table, error) {
	names := names()
	number := slices.Index(names, name)
	if number < 0 {
		return nil, unknown("table "+name, names)
	}
	return open(uint32(number), name)
}

func names() []string {
	names := weir_plugin_tables.Names()
	runtime.Release()
	return names
}

func open(number uint32, name string) (*Table, error) {
	columns, err := answer(weir_plugin_tables.Columns(number))
	if err != nil {
		return nil, err
	}
	rows, err := answer(weir_plugin_tables.Rows(number))
	if err != nil {
		return nil, err
	}
	table := &Table{number: number, name: name, columns: make([]Column, len(columns)), rows: int(rows)}
	for i, column := range columns {
		table.columns[i] = Column(column)
	}
	return table, nil
}

// Name is that of the granted table, also of what was derived from it.
func (t *Table) Name() string { return t.name }

// Columns are the table's columns, in order.
func (t *Table) Columns() []Column { return t.columns }

// Len is how many rows there are, the overflow row included.
func (t *Table) Len() int { return t.rows }

// Coverage says how complete the granted table is.
func (t *Table) Coverage() (Coverage, error) {
	covered, err := answer(weir_plugin_tables.Covered(t.number))
	missed, known := covered.Missed.Get()
	return Coverage{covered.Events, covered.Overflow, missed, known}, err
}

func (t *Table) find(column string) (uint32, error) {
	place := slices.IndexFunc(t.columns, func(c Column) bool { return c.Name == column })
	if place < 0 {
		names := make([]string, len(t.columns))
		for i, column := range t.columns {
			names[i] = column.Name
		}
		return 0, unknown("column "+column+" in table "+t.name, names)
	}
	return uint32(place), nil
}

// unknown says what there is in place of what there is not.
func unknown(what string, known []string) error {
	return Fail("unknown", "there is no "+what+"; there is "+strings.Join(known, ", "))
}
