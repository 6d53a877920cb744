// Package types has the types of WIT for which Go has none of its own.
package types

const (
	OptionNone = 0
	OptionSome = 1

	ResultOk  = 0
	ResultErr = 1
)

// Option is a value or none.
type Option[T any] struct {
	tag   uint8
	value T
}

func None[T any]() Option[T]        { return Option[T]{} }
func Some[T any](value T) Option[T] { return Option[T]{OptionSome, value} }
func (o Option[T]) Tag() uint8      { return o.tag }
func (o Option[T]) Some() T         { return o.value }
func (o Option[T]) Get() (T, bool)  { return o.value, o.tag == OptionSome }

// Result is what a call gave, or why it failed.
type Result[T, E any] struct {
	tag uint8
	ok  T
	err E
}

func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{tag: ResultOk, ok: value} }
func Err[T, E any](err E) Result[T, E]  { return Result[T, E]{tag: ResultErr, err: err} }
func (r Result[T, E]) Tag() uint8       { return r.tag }
func (r Result[T, E]) Ok() T            { return r.ok }
func (r Result[T, E]) Err() E           { return r.err }

// Unit is no value.
type Unit struct{}
