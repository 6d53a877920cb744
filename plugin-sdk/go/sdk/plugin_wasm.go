package weir

import (
	"unsafe"

	// What the program exports.
	_ "github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings/exports/wit_exports"
)

// Where the adapter for WASI puts together the lines that the runtime prints in pieces.
var line [4096]byte

//go:wasmimport wasi_snapshot_preview1 weir_line_buffer
func lineBuffer(at unsafe.Pointer, room uint32)

func init() { endLine() }

// endLine hands over what was printed without a newline at its end.
func endLine() { lineBuffer(unsafe.Pointer(&line), uint32(len(line))) }
