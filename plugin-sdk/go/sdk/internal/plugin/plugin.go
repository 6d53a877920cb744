// Package plugin is where the functions that the bindings export find the plugin.
package plugin

// Failure is why a call failed, in valid UTF-8.
type Failure struct{ Reason, Message string }

var (
	Configure = none
	Analyze   = none
)

func none() *Failure {
	return &Failure{"failed", "no plugin: weir.Export has to be called in an init function"}
}
