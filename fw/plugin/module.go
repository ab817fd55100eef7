package plugin

import (
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
