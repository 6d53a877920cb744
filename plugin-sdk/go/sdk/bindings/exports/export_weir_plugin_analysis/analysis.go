// Package export_weir_plugin_analysis is what the generated bindings expect under this path. They themselves are a
// module of their own, in a plugin's build/bindings.
package export_weir_plugin_analysis

import (
	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/imports/weir_plugin_types"
	"github.com/weir-tracing/weir/plugin-sdk/go/sdk/internal/plugin"
	"go.bytecodealliance.org/pkg/wit/types"
)

type (
	failure = weir_plugin_types.Failure
	result  = types.Result[types.Unit, failure]
)

func Configure() result { return answer(plugin.Configure()) }
func Analyze() result   { return answer(plugin.Analyze()) }

func answer(failed *plugin.Failure) result {
	if failed == nil {
		return types.Ok[types.Unit, failure](types.Unit{})
	}
	return types.Err[types.Unit](failure{Reason: failed.Reason, Message: failed.Message})
}
