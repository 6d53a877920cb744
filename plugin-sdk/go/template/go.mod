module {{name}}

go 1.24

require github.com/weir-tracing/weir/plugin-sdk/go/sdk v0.0.0

require (
	github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings v0.0.0 // indirect
	go.bytecodealliance.org/pkg v0.4.0 // indirect
)

// Nothing is downloaded: the SDK and what is generated come to build.
replace (
	github.com/weir-tracing/weir/plugin-sdk/go/sdk => ./build/sdk
	github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings => ./build/bindings
	go.bytecodealliance.org/pkg => ./build/sdk/pkg
)
