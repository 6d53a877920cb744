package group

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func example() (all Groups, web, batch, idle *Group) {
	web = &Group{ID: 1, Path: "/web", Ran: 100 * ms, Waited: 300 * ms}
	batch = &Group{ID: 2, Path: "/batch", Ran: 700 * ms, Waited: 20 * ms}
	idle = &Group{ID: 3, Path: "/idle", Waited: 2 * ms}
	return Sorted(map[uint64]*Group{1: web, 2: batch, 3: idle}), web, batch, idle
}

func TestGroupsAreInTheOrderOfTheirTime(t *testing.T) {
	all, web, batch, idle := example()
	if all[0] != batch || all[1] != web || all[2] != idle || all.Ran() != 800*ms {
		t.Error(all)
	}
}

func TestWhoWaitsForItsShareIsWarnedOf(t *testing.T) {
	all, web, _, idle := example()
	for _, test := range []struct {
		share float64
		least time.Duration
		want  Groups
	}{
		{0.25, 10 * ms, Groups{web}},
		{0.25, 0, Groups{web, idle}},
		{0.75, 0, Groups{web, idle}}, // Exactly the share is enough.
		{0.76, 0, Groups{idle}},
		{1, 0, Groups{idle}},
	} {
		got := all.Waiting(test.share, test.least)
		if len(got) != len(test.want) {
			t.Errorf("%v: %d groups", test, len(got))
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%v: %s", test, got[i].Path)
			}
		}
	}
	if len(all) != 3 {
		t.Error("the groups themselves were changed")
	}
}

func TestOthersAreThoseThatRan(t *testing.T) {
	all, web, batch, _ := example()
	if others := all.Others(web); len(others) != 1 || others[0] != batch {
		t.Error(others)
	}
	if others := (Groups{web}).Others(web); len(others) != 0 {
		t.Error(others)
	}
}

func TestFigures(t *testing.T) {
	for got, want := range map[string]string{
		Percent(1, 3):                     "33.3%",
		Percent(0, 0):                     "0.0%",
		Short(1234567 * time.Microsecond): "1.23s",
		Short(1234567):                    "1.23ms",
		Short(1234):                       "1µs",
		Short(0):                          "0s",
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
