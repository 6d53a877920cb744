module github.com/weir-tracing/weir/plugin-sdk/go/sdk

go 1.24

// A plugin's own go.mod says where these are.
require (
	github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings v0.0.0
	go.bytecodealliance.org/pkg v0.4.0
)
