//go:build !wasm

package weir

// There is no host to print to.
func endLine() {}
