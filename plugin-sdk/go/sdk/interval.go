package weir

import (
	"time"

	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_interval"
)

// Interval is the time that the tables are of: the only clock that there is. (time.Now stands still at its beginning.)
type Interval struct {
	// Counted from 0.
	Number uint64
	Began  time.Time
	// Its length: what to divide by for a rate.
	Seconds float64
	// How many intervals before this one the plugin was not called for.
	Skipped uint32
	// This is the last call of the run.
	Last bool
}

// ThisInterval is the interval that the plugin is called for.
func ThisInterval() Interval {
	began := weir_plugin_interval.Began()
	return Interval{
		Number:  weir_plugin_interval.Number(),
		Began:   time.Unix(int64(began.Seconds), int64(began.Nanoseconds)).UTC(),
		Seconds: weir_plugin_interval.Length(),
		Skipped: weir_plugin_interval.Skipped(),
		Last:    weir_plugin_interval.IsLast(),
	}
}
