// Package runtime has the memory for what crosses between a plugin and its host.
package runtime

import (
	"runtime"
	"unsafe"
)

// Allocate gives memory that stays until the pinner lets go of it.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	memory := allocate(size, align)
	pinner.Pin(memory)
	return memory
}

// What the host put into memory during this call of it. Objects do not move in Go, but they have to be referred to.
var received []unsafe.Pointer

// Release leaves what the host gave to the garbage collector, as far as nothing else refers to it.
func Release() {
	clear(received)
	received = received[:0]
}

// The host's only way to memory. It is called while the plugin waits for the host, and so may start a collection: that
// asks the host for the time, which nobody may do now, but is answered by the adapter, which knows it by then.
//
//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if oldSize != 0 {
		panic("memory that the host has is never resized")
	}
	memory := allocate(size, align)
	received = append(received, memory)
	return memory
}

// allocate gives memory without pointers, so that the collector does not look into it.
func allocate(size, align uintptr) unsafe.Pointer {
	switch {
	case size == 0:
		return nil
	case align == 1:
		return unsafe.Pointer(unsafe.SliceData(make([]uint8, size)))
	default:
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	}
}
