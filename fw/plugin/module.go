package plugin

import (
	"context"

	"github.com/tetratelabs/wazero"
)

// Exports of guests, docs/plugins.md.
const (
	exportVersion    = "edged_abi_version"
	exportAlloc      = "edged_alloc"
	exportInitialize = "_initialize"
	exportStart      = "edged_on_start"
	exportFrame      = "edged_on_frame"
	exportCaption    = "edged_on_caption"
)

// abi is the version that guests must answer.
const abi = 1

var exports = []struct {
	name string
	signature
	needed bool
}{
	{exportVersion, signature{"", i32}, true},
	{exportAlloc, signature{i32, i32}, true},
	{exportInitialize, signature{}, false},
	{exportStart, signature{i32 + i32, i32}, false},
	{exportFrame, signature{i32 + i32, i64}, false},
	{exportCaption, signature{i32 + i32, i64}, false},
}

// Module is a checked and compiled module. It may be used by several goroutines.
type Module struct {
	name     string
	layout   *layout
	compiled bool // else interpreted
	runtime  wazero.Runtime
	code     wazero.CompiledModule
}

// Close frees the module, whose plugins must have been closed before.
func (m *Module) Close(ctx context.Context) error { return m.code.Close(ctx) }

// CodeBytes estimates what the module occupies, however many plugins are started from it:
// RATIONALE.md has what that was measured on.
func (m *Module) CodeBytes() int64 {
	perByte := 32
	if m.compiled {
		perByte = 7
	}
	const perFunction = 256
	return int64(m.layout.metered)*int64(perByte) + int64(m.layout.defined)*perFunction
}

// InstanceBytes is what a plugin of the module may occupy besides, with a limit of memory as in
// [Options]: its memory, its tables and its stack.
func (m *Module) InstanceBytes(memory int64) int64 {
	if memory == 0 {
		memory = DefaultMemory
	}
	return min(memory, int64(m.layout.maxPages)*pageSize) + 8*int64(m.layout.table) + maxStack
}
