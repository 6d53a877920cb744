package main

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"noisy-neighbour/group"

	weir "github.com/weir-tracing/weir/plugin-sdk/go/sdk"
)

// What the tables have of an interval.
type figures struct {
	groups group.Groups
	// Of those that found no row of their own.
	others group.Group
	// What all of them used, those that found no row of their own included.
	total time.Duration

	overflow, missed uint64
	// The kernel does not tell all that it missed.
	unsure bool
}

// A row of `ran`, `woken` or `preempted`.
type usage struct {
	Overflow uint64 `weir:"overflow"`
	Group    uint64 `weir:"group"`
	Time     uint64 `weir:"time"`
}

// A row of `groups`.
type naming struct {
	Overflow uint64    `weir:"overflow"`
	Group    uint64    `weir:"group"`
	Path     weir.Text `weir:"path"`
}

// The tables have the columns that are read.
func checkTables() error {
	for _, name := range []string{"ran", "woken", "preempted"} {
		table, err := weir.OpenTable(name)
		if err != nil {
			return err
		}
		if err := weir.Fits[usage](table); err != nil {
			return err
		}
	}
	table, err := weir.OpenTable("groups")
	if err != nil {
		return err
	}
	return weir.Fits[naming](table)
}

func read() (*figures, error) {
	f := new(figures)
	paths, err := f.readPaths()
	if err != nil {
		return nil, err
	}
	byID := make(map[uint64]*group.Group)
	for _, name := range []string{"ran", "woken", "preempted"} {
		table, err := f.open(name)
		if err != nil {
			return nil, err
		}
		for row, err := range weir.Scan[usage](table) {
			if err != nil {
				return nil, err
			}
			spent := time.Duration(row.Time)
			if name == "ran" {
				f.total += spent
			}
			of := byID[row.Group]
			if row.Overflow != 0 {
				of = &f.others
			} else if of == nil {
				path := cmp.Or(paths[row.Group], "(unknown: "+strconv.FormatUint(row.Group, 10)+")")
				of = &group.Group{ID: row.Group, Path: path}
				byID[row.Group] = of
			}
			if name == "ran" {
				of.Ran += spent
			} else {
				of.Waited += spent
			}
		}
	}
	f.groups = group.Sorted(byID)
	return f, nil
}

func (f *figures) readPaths() (map[uint64]string, error) {
	table, err := f.open("groups")
	if err != nil {
		return nil, err
	}
	paths := make(map[uint64]string)
	for row, err := range weir.Scan[naming](table) {
		if err != nil {
			return nil, err
		}
		if row.Overflow == 0 {
			paths[row.Group] = row.Path.String()
		}
	}
	return paths, nil
}

// Opens a table, and notes what it does not have.
func (f *figures) open(name string) (*weir.Table, error) {
	table, err := weir.OpenTable(name)
	if err != nil {
		return nil, err
	}
	coverage, err := table.Coverage()
	if err != nil {
		return nil, err
	}
	f.overflow += coverage.Overflow
	f.missed += coverage.Missed
	f.unsure = f.unsure || !coverage.MissedKnown
	return table, nil
}

// What a group used, for people.
func (f *figures) used(g *group.Group) string {
	return group.Short(g.Ran) + " (" + group.Percent(g.Ran, f.total) + ")"
}

func (f *figures) count() error {
	all := f.groups
	if f.others.Ran > 0 || f.others.Waited > 0 {
		// No path is called so: they begin with a slash.
		f.others.Path = "other"
		all = append(slices.Clone(all), &f.others)
	}
	for _, each := range all {
		label := weir.F("group", each.Path)
		if err := weir.Add("cpu_seconds_total", each.Ran.Seconds(), label); err != nil {
			return err
		}
		if err := weir.Add("wait_seconds_total", each.Waited.Seconds(), label); err != nil {
			return err
		}
	}
	return nil
}

// What is in no group's figures.
func (f *figures) missing() (fields []weir.Field) {
	if f.overflow > 0 {
		fields = append(fields, weir.F("overflow", show(f.overflow, "events found no row of their own")))
	}
	if f.missed > 0 {
		fields = append(fields, weir.F("missed", show(f.missed, "events were skipped by the kernel")))
	}
	if f.unsure {
		fields = append(fields, weir.F("missed", "this kernel does not tell"))
	}
	if skipped := weir.ThisInterval().Skipped; skipped > 0 {
		fields = append(fields, weir.F("skipped", show(uint64(skipped), "intervals before this one")))
	}
	return fields
}

func show(count uint64, what string) string { return strconv.FormatUint(count, 10) + " " + what }
