// Package weir is for plugins of Weir, a tracing host for Linux.
//
// A plugin is a Wasm component that Weir calls at the end of every interval. It sees the tables that it was
// granted, merged over all CPUs, and answers with metrics, reports and log lines. It can reach nothing else.
//
//	type busy struct{ calls int64 }
//
//	func init()  { weir.Export(new(busy)) }
//	func main() {}
//
//	func (b *busy) Configure() (err error) {
//		b.calls, err = weir.Option[int64]("calls", 1000)
//		return err
//	}
//
//	func (b *busy) Analyze() error {
//		opens, err := weir.OpenTable("opens")
//		if err != nil {
//			return err
//		}
//		most, err := opens.Filter(weir.Gt("calls", b.calls)).SortDesc("calls").Limit(10).Ask()
//		if err != nil {
//			return err
//		}
//		type row struct {
//			Comm  weir.Text `weir:"comm"`
//			Calls uint64    `weir:"calls"`
//		}
//		for row, err := range weir.Scan[row](most) {
//			if err != nil {
//				return err
//			}
//			title := row.Comm.String() + " opens many files"
//			if err := weir.Report(weir.Warning, "busy", title, weir.F("calls", row.Calls)); err != nil {
//				return err
//			}
//		}
//		return nil
//	}
//
// What a call of the interface means, and every limit, is written in build/wit/weir.wit.
package weir

import (
	"errors"

	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/internal/plugin"
)

// Plugin is what Weir calls.
//
// Every call comes to a fresh instance, so there is nothing to remember in a plugin: what is to outlive the call is
// given to [Store]. Fields hold what Configure read.
type Plugin interface {
	// Configure looks at the options, and at the columns of the tables, which have no rows yet. It is called before
	// anything is attached, so that what is wrong is told before anything runs, and again before each Analyze.
	Configure() error

	// Analyze looks at an interval's tables, and says something about them. If it fails, nothing of that is kept but
	// the log lines.
	Analyze() error
}

// Export makes this the plugin of the program. It has to be called in an init function: main never runs.
func Export(p Plugin) {
	plugin.Configure = func() *plugin.Failure {
		defer endLine()
		return told(p.Configure())
	}
	plugin.Analyze = func() *plugin.Failure {
		defer endLine()
		if err := p.Configure(); err != nil {
			return told(err)
		}
		return told(p.Analyze())
	}
}

// told is an error as the host is told of it.
func told(err error) *plugin.Failure {
	if err == nil {
		return nil
	}
	reason := "failed"
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		reason = failure.Reason
	}
	return &plugin.Failure{Reason: valid(reason), Message: valid(err.Error())}
}
