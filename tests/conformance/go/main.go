// What every SDK has to see alike: a plugin that says all of what it is given.
package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	weir "github.com/weir-tracing/weir/plugin-sdk/go/sdk"
	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_tables"
)

type tally struct{ mode string }

func init() { weir.Export(new(tally)) }
func main() {}

func (t *tally) Configure() (err error) {
	t.mode, err = weir.Option("mode", "all")
	return err
}

func (t *tally) Analyze() error {
	tables, err := weir.Tables()
	if err != nil {
		return err
	}
	switch t.mode {
	case "all":
		for _, table := range tables {
			if err := all(table); err != nil {
				return err
			}
		}
		return nil
	case "columns":
		return columns(tables[0])
	case "questions":
		return questions(tables[0])
	case "histograms":
		for _, table := range tables {
			if err := histograms(table); err != nil {
				return err
			}
		}
		return nil
	case "state":
		return state(tables)
	case "fail":
		return weir.Fail("tally", "as asked")
	case "trap":
		return fmt.Errorf("there is a table %s", tables[len(tables)].Name())
	case "loop":
		for {
		}
	case "memory":
		for kept := [][]byte{}; ; {
			kept = append(kept, make([]byte, 1<<20))
		}
	case "unknown":
		return unknown()
	case "wasi":
		return wasi()
	default:
		return weir.WrongOption("mode", "there is no "+t.mode)
	}
}

// The SDK has no tables by number, but the bindings have.
func unknown() error {
	return weir.Report(weir.Info, "unknown", weir_plugin_tables.Rows(99).Err().Reason)
}

func state(tables []*weir.Table) error {
	stored, _ := weir.Load("n")
	calls, _ := strconv.Atoi(string(stored))
	calls++
	if err := weir.Store("n", []byte(strconv.Itoa(calls))); err != nil {
		return err
	}
	if err := weir.Report(weir.Info, "state", strconv.Itoa(calls)); err != nil {
		return err
	}
	weir.Log(weir.Debug, fmt.Sprint("call ", calls))
	file := weir.Artefact{Name: "a.txt", MediaType: "text/plain"}
	for _, chunk := range []string{"call ", fmt.Sprintln(calls)} {
		if _, err := file.Write([]byte(chunk)); err != nil {
			return err
		}
	}
	if err := weir.Gauge("n", float64(calls), weir.F("k", "v")); err != nil {
		return err
	}
	for _, table := range tables {
		for _, column := range table.Columns() {
			if column.Kind == "buckets" && table.Len() > 0 {
				return weir.Distribution("h", table, 0, column.Name)
			}
		}
	}
	return nil
}

// Sums of up to three columns, and the ten biggest values of the first, by columns.
func columns(table *weir.Table) error {
	var fields []weir.Field
	var top []uint64
	for i, name := range measures(table, 3) {
		values, err := weir.Read[uint64](table, name)
		if err != nil {
			return err
		}
		fields = append(fields, weir.F(name, sum(values)))
		if i == 0 {
			top = biggest(values)
		}
	}
	return weir.Report(weir.Info, "columns", table.Name(), append(fields, weir.F("top", joined(top)))...)
}

// The same by questions.
func questions(table *weir.Table) error {
	names := measures(table, 3)
	var fields []weir.Field
	var top []uint64
	if len(names) > 0 {
		sums := table.GroupBy()
		for _, name := range names {
			sums = sums.Sum(name)
		}
		answer, err := sums.Ask()
		if err != nil {
			return err
		}
		for _, row := range answer.Rows() {
			for _, name := range names {
				sum, err := weir.Cell[uint64](row, "sum("+name+")")
				if err != nil {
					return err
				}
				fields = append(fields, weir.F(name, sum))
			}
		}
		most, err := table.SortDesc(names[0]).Limit(10).Ask()
		if err != nil {
			return err
		}
		if top, err = weir.Read[uint64](most, names[0]); err != nil {
			return err
		}
	}
	return weir.Report(weir.Info, "columns", table.Name(), append(fields, weir.F("top", joined(top)))...)
}

func measures(table *weir.Table, most int) []string {
	var names []string
	for _, column := range table.Columns() {
		if isMeasure(column) && len(names) < most {
			names = append(names, column.Name)
		}
	}
	return names
}

func isMeasure(column weir.Column) bool {
	return column.Kind == "u64" && (column.Role == "count" || column.Role == "sum")
}

func sum(values []uint64) (sum uint64) {
	for _, value := range values {
		sum += value
	}
	return sum
}

func biggest(values []uint64) []uint64 {
	top := make([]uint64, 0, 11)
	for _, value := range values {
		if len(top) == 10 && value <= top[9] {
			continue
		}
		place, _ := slices.BinarySearchFunc(top, value, func(other, value uint64) int {
			if other >= value {
				return -1
			}
			return 1
		})
		top = slices.Insert(top, place, value)
		top = top[:min(len(top), 10)]
	}
	return top
}

func joined(values []uint64) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = strconv.FormatUint(value, 10)
	}
	return strings.Join(texts, " ")
}
