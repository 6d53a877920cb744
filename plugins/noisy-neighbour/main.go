// Which control group takes whose processor time.
package main

import (
	"strconv"
	"time"

	"noisy-neighbour/group"

	weir "github.com/weir-tracing/weir/plugin-sdk/go/sdk"
)

type plugin struct {
	wait  float64
	least time.Duration
	limit int
}

func init() { weir.Export(new(plugin)) }
func main() {}

func (p *plugin) Configure() (err error) {
	if p.wait, err = weir.Option("wait", 0.25); err != nil {
		return err
	}
	if !(p.wait > 0 && p.wait <= 1) {
		return weir.WrongOption("wait", "a share above 0 and up to 1 is needed, such as 0.25")
	}
	least, err := weir.Option("least", "10ms")
	if err != nil {
		return err
	}
	if p.least, err = time.ParseDuration(least); err != nil || p.least < 0 {
		return weir.WrongOption("least", strconv.Quote(least)+" is no duration such as 10ms or 1.5s")
	}
	limit, err := weir.Option[int64]("limit", 5)
	if err != nil {
		return err
	}
	if limit < 1 || limit > 20 {
		return weir.WrongOption("limit", "1 to 20 are possible")
	}
	p.limit = int(limit)
	return checkTables()
}

func (p *plugin) Analyze() error {
	f, err := read()
	if err != nil {
		return err
	}
	if err := f.count(); err != nil {
		return err
	}
	if err := p.summarize(f); err != nil {
		return err
	}
	for i, victim := range f.groups.Waiting(p.wait, p.least) {
		if i == p.limit {
			break
		}
		if err := p.warn(f, victim); err != nil {
			return err
		}
	}
	return nil
}

// Who used how much, who waited how long.
func (p *plugin) summarize(f *figures) error {
	title := "no group ran or waited"
	var fields []weir.Field
	for i, each := range f.groups {
		if i == 0 {
			title = each.Path + " used " + group.Percent(each.Ran, f.total) + " of " + group.Short(f.total) +
				" of processor time"
		}
		if i == p.limit {
			fields = append(fields, weir.F("more", len(f.groups)-i))
			break
		}
		what := f.used(each) + ", waited " + group.Short(each.Waited) + "  " + each.Path
		fields = append(fields, weir.F(strconv.Itoa(i+1), what))
	}
	return weir.Report(weir.Info, "noisy-neighbour", title, append(fields, f.missing()...)...)
}

// Who waited, and who probably made it wait.
func (p *plugin) warn(f *figures, victim *group.Group) error {
	fields := []weir.Field{weir.F("waited", group.Short(victim.Waited)), weir.F("ran", f.used(victim))}
	others := f.groups.Others(victim)
	for i, other := range others {
		if i == p.limit {
			break
		}
		fields = append(fields, weir.F("neighbour "+strconv.Itoa(i+1), f.used(other)+"  "+other.Path))
	}
	while := "while no other group ran"
	if len(others) > 0 {
		while = "while it used " + group.Percent(victim.Ran, f.total) + " of the processor time, and " +
			others[0].Path + " " + group.Percent(others[0].Ran, f.total)
		fields = append(fields, weir.F("mind", "who else ran in this interval, not who was seen to be in the way"))
	}
	title := victim.Path + " waited " + group.Percent(victim.Waited, victim.Runnable()) +
		" of the time in which it could have run, " + while
	return weir.Report(weir.Warning, "waiting", title, fields...)
}
