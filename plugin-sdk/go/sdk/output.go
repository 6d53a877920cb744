package weir

import (
	"reflect"
	"strconv"

	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_output"
)

// Level says how urgent something is.
type Level uint8

const (
	Debug    = Level(weir_plugin_output.Severity_Debug)
	Info     = Level(weir_plugin_output.Severity_Info)
	Warning  = Level(weir_plugin_output.Severity_Warning)
	Critical = Level(weir_plugin_output.Severity_Critical)
)

// Field is a field of a report, or a label of a metric.
type Field struct{ Name, Value string }

// F is a field with a string, a number, a truth value, an error, or whatever else has a String method.
func F(name string, value any) Field {
	return Field{name, show(value)}
}

// show does without fmt, which is 0.4 MB in every plugin that has it.
func show(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case interface{ String() string }:
		return value.String()
	case error:
		return value.Error()
	}
	switch value := reflect.ValueOf(value); {
	case value.CanInt():
		return strconv.FormatInt(value.Int(), 10)
	case value.CanUint():
		return strconv.FormatUint(value.Uint(), 10)
	case value.CanFloat():
		return strconv.FormatFloat(value.Float(), 'g', -1, 64)
	case value.Kind() == reflect.Bool:
		return strconv.FormatBool(value.Bool())
	default:
		return value.String()
	}
}

// Report says something to be read by a person. Its code names its sort, always the same, for programs to select
// by; the title is one line; the fields are shown in this order.
func Report(level Level, code, title string, fields ...Field) error {
	return done(weir_plugin_output.Report(uint8(level), valid(code), valid(title), labels(fields)))
}

// Add adds to a counter, which only grows. The host keeps the total of each set of labels.
func Add(metric string, delta float64, by ...Field) error {
	return done(weir_plugin_output.Add(valid(metric), labels(by), delta))
}

// Gauge says what a value is now.
func Gauge(metric string, value float64, by ...Field) error {
	return done(weir_plugin_output.Gauge(valid(metric), labels(by), value))
}

// Distribution passes on a row's histogram, whole.
func Distribution(metric string, table *Table, row int, column string, by ...Field) error {
	place, err := table.find(column)
	if err != nil {
		return err
	}
	return done(weir_plugin_output.Histogram(valid(metric), labels(by), table.number, uint32(row), place))
}

// Log says something to whoever writes or runs the plugin. It is kept even if the call fails. (So is what a plugin
// prints: to standard output as Debug, to standard error as Warning.)
func Log(level Level, message string) {
	weir_plugin_output.Log(uint8(level), valid(message))
}

// Artefact is a file that this interval leaves behind, such as a flame graph. It is an io.Writer; each write
// appends to it.
type Artefact struct{ Name, MediaType string }

func (a Artefact) Write(chunk []byte) (int, error) {
	err := done(weir_plugin_output.Artefact(valid(a.Name), valid(a.MediaType), chunk))
	if err != nil {
		return 0, err
	}
	return len(chunk), nil
}

func labels(fields []Field) []weir_plugin_output.Label {
	labels := make([]weir_plugin_output.Label, len(fields))
	for i, field := range fields {
		labels[i] = weir_plugin_output.Label{Name: valid(field.Name), Value: valid(field.Value)}
	}
	return labels
}
