// Reports the biggest keys of every table that it is granted.
package main

import (
	"slices"
	"strconv"

	weir "github.com/weir-tracing/weir/plugin-sdk/go/sdk"
)

type plugin struct{ limit int64 }

func init() { weir.Export(new(plugin)) }
func main() {} // Never runs.

// Configure is called before anything is attached, and again before each Analyze.
func (p *plugin) Configure() (err error) {
	p.limit, err = weir.Option[int64]("limit", 3)
	if err == nil && (p.limit < 1 || p.limit > 100) {
		err = weir.WrongOption("limit", "1 to 100 are possible")
	}
	return err
}

// Analyze is called at the end of every interval.
func (p *plugin) Analyze() error {
	tables, err := weir.Tables()
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := p.rank(table); err != nil {
			return err
		}
	}
	return nil
}

func (p *plugin) rank(table *weir.Table) error {
	coverage, err := table.Coverage()
	if err != nil {
		return err
	}
	if coverage.Events > 0 {
		if err := weir.Add("events", float64(coverage.Events), weir.F("table", table.Name())); err != nil {
			return err
		}
	}

	columns := table.Columns()
	measure := slices.IndexFunc(columns, func(c weir.Column) bool { return c.Role == "count" && c.Kind == "u64" })
	if measure < 0 {
		return nil
	}
	name := columns[measure].Name

	// Answered by the host: what follows goes through a few rows only.
	biggest, err := table.Filter(weir.Eq("overflow", 0)).SortDesc(name).Limit(int(p.limit)).Ask()
	if err != nil {
		return err
	}
	for i, row := range biggest.Rows() {
		key, err := row.Key()
		if err != nil {
			return err
		}
		count, err := weir.Cell[uint64](row, name)
		if err != nil {
			return err
		}
		title := table.Name() + " " + strconv.Itoa(i+1) + ": " + key
		if err := weir.Report(weir.Info, "top", title, weir.F(name, count)); err != nil {
			return err
		}
	}
	return nil
}
