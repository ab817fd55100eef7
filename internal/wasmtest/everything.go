package wasmtest

import (
	"bytes"
	"math/rand/v2"

	"github.com/visualrwkv/edged/internal/hostile"
)

// Everything is a plugin with something of everything that modules can have, which does all of it at a frame,
// and then gives the same answers to frames and captions always. An empty answer is none.
func Everything(frame, caption string) []byte {
	const text = 0x600 // where the answer to captions is
	answer := func(at int, s string) []byte {
		if s == "" {
			return I64(0)
		}
		return I64(int64(at)<<32 | int64(len(s)))
	}
	const wasi = "wasi_snapshot_preview1"
	drop := Op(0x1a)
	m := Module{
		Imports: []Import{
			{"edged", "log", "iii", ""}, {"edged", "emit", "ii", ""}, {"edged", "clock", "", "I"},
			{wasi, "random_get", "ii", "i"}, {wasi, "fd_write", "iiii", "i"}, {wasi, "poll_oneoff", "iiii", "i"}, {wasi, "proc_exit", "i", ""},
		},
		Funcs: []Func{
			{Export: "edged_abi_version", Results: "i", Code: I32(1)},
			{Export: "edged_alloc", Params: "i", Results: "i", Code: I32(GuestInput)},
			{Export: "edged_on_frame", Params: "ii", Results: "I", Locals: "iIfFv", Code: Code(
				I32(1), I32(0x300), I32(10), Call(0), // log
				I32(0x300), I32(14), Call(1), // emit
				Call(2), drop, // clock
				I32(0x200), I32(64), Call(3), drop, // random_get
				I32(1), I32(0x320), I32(1), I32(0x340), Call(4), drop, // fd_write
				I32(1), Op(0x40, 0), drop, // memory.grow
				I32(0), I32(1), I32(100), Op(0xfc, 11, 0), // memory.fill
				I32(0), I32(1), I32(100), Op(0xfc, 10, 0, 0), // memory.copy
				I32(100), Set(2),
				Op(0x03, 0x40), Get(2), I32(1), Op(0x6b), Op(0x22, 2), Op(0x0d, 0), Op(0x0b), // a loop
				I32(3), I32(11), Op(0x11, 11, 0), Op(0x24, 1), // call_indirect
				I32(0), Op(0xfd, 0, 0, 0), Get(6), Op(0xfd, 110), Op(0x21, 6), // vectors
				Op(0x02, 0x40), Op(0x02, 0x40), Get(2), Op(0x0e, 1, 0, 1), Op(0x0b), Op(0x0b), // br_table
				I32(0), I32(0), Op(0x25, 0), Op(0xd1), Op(0x36, 2, 0), // table.get, ref.is_null
				answer(GuestAnswer, frame))},
			{Export: "edged_on_caption", Params: "ii", Results: "I", Code: answer(text, caption)},
			{Params: "i", Results: "i", Code: Code(Get(0), Op(0x04, 0x7f), Get(0), I32(1), Op(0x6b), Call(11), Op(0x05), I32(7), Op(0x0b))},
			{Export: "edged_on_start", Params: "ii", Results: "i", Code: I32(0)},
			{Export: "_initialize"},
			{},
		},
		Pages: 2, MaxPages: 100, Table: 15, Globals: 2, Start: 14,
		Data: []Data{{GuestAnswer, frame}, {text, caption}, {0x300, `{"text":"abc"}`}, {0x320, "\x00\x03\x00\x00\x0e\x00\x00\x00"}},
	}
	return m.Bytes()
}

// Mutate returns a module like wasm that is damaged, or has some bytes that are others: many of the second
// kind are still valid.
func Mutate(rng *rand.Rand, wasm []byte) []byte {
	if rng.IntN(2) == 0 {
		// Endless loops, growing, calls, traps, filling, large numbers, ends.
		return hostile.Damage(rng, wasm, "\x03\x40\x0c\x00\x0b", "\x40\x00", "\x10\x0b", "\x00", "\x11\x0b\x00", "\xfc\x0b\x00", "\xfd\x0c", "\xff\xff\xff\xff\x0f", "\x0b")
	}
	b := bytes.Clone(wasm)
	for range 1 + rng.IntN(3) {
		b[8+rng.IntN(len(b)-8)] = byte(rng.IntN(1 << (1 + rng.IntN(8))))
	}
	return b
}
