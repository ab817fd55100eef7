package sdk

import (
	"time"
	"unsafe"
)

//go:wasmexport edged_abi_version
func abiVersion() uint32 { return ABI }

//go:wasmexport edged_alloc
func hostAlloc(size uint32) uint32 { return alloc(size) }

//go:wasmimport edged log
func importLog(level int32, ptr unsafe.Pointer, size uint32)

//go:wasmimport edged emit
func importEmit(ptr unsafe.Pointer, size uint32)

//go:wasmimport edged clock
func importClock() int64

func hostLog(level Level, line string) {
	importLog(int32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

func hostEmit(data []byte) {
	importEmit(unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)))
}

func hostClock() time.Duration { return time.Duration(importClock()) * time.Millisecond }
