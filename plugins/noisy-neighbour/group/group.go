// Package group is what can be said of control groups without a host: how they compare.
package group

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Group is a control group in one interval.
type Group struct {
	ID   uint64
	Path string
	// How long its threads ran, and how long they waited for a processor, all together.
	Ran, Waited time.Duration
}

// Groups are in the order of the time that they ran.
type Groups []*Group

// Sorted puts groups in order.
func Sorted(byID map[uint64]*Group) Groups {
	return slices.SortedFunc(maps.Values(byID), func(a, b *Group) int {
		return cmp.Or(cmp.Compare(b.Ran, a.Ran), cmp.Compare(b.Waited, a.Waited), cmp.Compare(a.ID, b.ID))
	})
}

// Runnable is how long its threads could have run.
func (g *Group) Runnable() time.Duration { return g.Ran + g.Waited }

// Ran is how long all of them ran.
func (all Groups) Ran() (total time.Duration) {
	for _, group := range all {
		total += group.Ran
	}
	return total
}

// Waiting are those that waited for a share of the time in which they could have run, or more, and not only for a
// moment; who waited longest comes first.
func (all Groups) Waiting(share float64, least time.Duration) Groups {
	waiting := slices.DeleteFunc(slices.Clone(all), func(g *Group) bool {
		return g.Waited == 0 || g.Waited < least || float64(g.Waited) < share*float64(g.Runnable())
	})
	slices.SortStableFunc(waiting, func(a, b *Group) int { return cmp.Compare(b.Waited, a.Waited) })
	return waiting
}

// Others are those that ran beside this one.
func (all Groups) Others(victim *Group) Groups {
	return slices.DeleteFunc(slices.Clone(all), func(g *Group) bool { return g == victim || g.Ran == 0 })
}

// Percent is what share of the whole a part is.
func Percent(part, whole time.Duration) string {
	if whole == 0 {
		return "0.0%"
	}
	return strconv.FormatFloat(float64(part)/float64(whole)*100, 'f', 1, 64) + "%"
}

// Short is a duration with as many digits as mean something.
func Short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}
