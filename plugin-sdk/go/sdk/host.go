package weir

import (
	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_types"
	"go.bytecodealliance.org/pkg/wit/runtime"
	"go.bytecodealliance.org/pkg/wit/types"
)

// Every answer of the host that has texts or lists goes through one of these, which leave its memory to the collector.

func answer[T any](result types.Result[T, weir_plugin_types.Failure]) (T, error) {
	runtime.Release()
	if result.Tag() == types.ResultErr {
		failure := result.Err()
		return result.Ok(), &Failure{failure.Reason, failure.Message}
	}
	return result.Ok(), nil
}

func done(result types.Result[types.Unit, weir_plugin_types.Failure]) error {
	_, err := answer(result)
	return err
}

func found[T any](option types.Option[T]) (T, bool) {
	runtime.Release()
	return option.Get()
}
