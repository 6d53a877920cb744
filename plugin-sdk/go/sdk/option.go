package weir

import "github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_options"

// Setting is what an option can be. An integer will do for a float64.
type Setting interface {
	string | int64 | float64 | bool
}

// Option is the operator's setting of this name, or the given value where there is none. One of another type is an
// error that says so, rather than a default which hides it.
func Option[T Setting](name string, absent T) (T, error) {
	value, is, err := LookupOption[T](name)
	if err == nil && !is {
		value = absent
	}
	return value, err
}

// LookupOption is the operator's setting of this name, and whether there is one.
func LookupOption[T Setting](name string) (value T, is bool, err error) {
	var wanted string
	switch value := any(&value).(type) {
	case *string:
		wanted = "a text"
		*value, is = found(weir_plugin_options.Text(valid(name)))
	case *int64:
		wanted = "an integer"
		*value, is = found(weir_plugin_options.Integer(valid(name)))
	case *float64:
		wanted = "a number"
		*value, is = found(weir_plugin_options.Number(valid(name)))
	case *bool:
		wanted = "true or false"
		*value, is = found(weir_plugin_options.Flag(valid(name)))
	}
	if !is {
		if other := mistyped(valid(name)); other != "" {
			err = WrongOption(name, wanted+" is needed, and this is "+other)
		}
	}
	return value, is, err
}

// WrongOption is a failure that names the option: what is wrong with it, and what would be right.
func WrongOption(name, what string) error {
	return Fail("option", "option "+name+": "+what)
}

// mistyped is what a setting is that was not of the type it was asked for; nothing if there is none.
func mistyped(name string) string {
	if _, is := found(weir_plugin_options.Text(name)); is {
		return "a text"
	}
	if _, is := found(weir_plugin_options.Integer(name)); is {
		return "an integer"
	}
	if _, is := found(weir_plugin_options.Number(name)); is {
		return "a number"
	}
	if _, is := found(weir_plugin_options.Flag(name)); is {
		return "true or false"
	}
	return ""
}
