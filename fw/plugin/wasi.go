package plugin

import (
	"encoding/binary"
	"time"
)

// Error numbers of WASI preview 1.
const (
	errnoBadf  = 8
	errnoFault = 21
	errnoInval = 28
)

// withoutFiles are the parameters of functions of files that are never there.
var withoutFiles = map[string]string{
	"fd_pread":                i32 + i32 + i32 + i64 + i32,
	"path_create_directory":   i32 + i32 + i32,
	"path_filestat_get":       i32 + i32 + i32 + i32 + i32,
	"path_filestat_set_times": i32 + i32 + i32 + i32 + i64 + i64 + i32,
	"path_link":               i32 + i32 + i32 + i32 + i32 + i32 + i32,
	"path_open":               i32 + i32 + i32 + i32 + i32 + i64 + i64 + i32 + i32,
	"path_readlink":           i32 + i32 + i32 + i32 + i32 + i32,
	"path_remove_directory":   i32 + i32 + i32,
	"path_rename":             i32 + i32 + i32 + i32 + i32 + i32,
	"path_symlink":            i32 + i32 + i32 + i32 + i32,
	"path_unlink_file":        i32 + i32 + i32,
}

// fdRead is WASI's fd_read: standard input is at its end, and there is nothing else.
func (in *instance) fdRead(stack []uint64) {
	count, ok := in.memory.read(uint32(stack[3]), 4)
	switch {
	case uint32(stack[0]) != 0:
		stack[0] = errnoBadf
	case !ok:
		stack[0] = errnoFault
	default:
		binary.LittleEndian.PutUint32(count, 0)
		stack[0] = 0
	}
}

// pollOneoff is WASI's poll_oneoff: it sleeps until the first of the clocks, and not beyond
// the limit of the call. Files are ready at once, with an error.
//
//	subscription: u64 user data | u8 kind (0 clock, 1 read, 2 write) | at 16: u32 clock, at 24: u64 ns, at 40: u16 1 = absolute
//	event: u64 user data | u16 error | u8 kind
func (in *instance) pollOneoff(stack []uint64) {
	stack[0] = in.poll(uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3]))
}

func (in *instance) poll(subs, events, n, result uint32) (errno uint64) {
	const subSize, eventSize = 48, 32
	if n == 0 || n > 1<<10 {
		return errnoInval
	}
	from, ok1 := in.memory.read(subs, n*subSize)
	to, ok2 := in.memory.read(events, n*eventSize)
	count, ok3 := in.memory.read(result, 4)
	if !ok1 || !ok2 || !ok3 {
		return errnoFault
	}
	wait := time.Duration(1<<63 - 1)
	for i := range int(n) {
		s := from[i*subSize:][:subSize]
		switch s[8] {
		case 0:
			wait = min(wait, clockWait(s))
		case 1, 2:
			wait = 0
		default:
			return errnoInval
		}
	}
	in.sleep(wait)
	var ready uint32
	for i := range int(n) {
		s := from[i*subSize:][:subSize]
		if s[8] == 0 && clockWait(s) > wait {
			continue
		}
		var e [eventSize]byte
		copy(e[:8], s)
		if s[8] != 0 {
			e[8] = errnoBadf
		}
		e[10] = s[8]
		copy(to[ready*eventSize:], e[:])
		ready++
	}
	binary.LittleEndian.PutUint32(count, ready)
	return 0
}

// clockWait is how long the subscription of a clock waits, from now on if it is relative.
func clockWait(s []byte) time.Duration {
	ns := binary.LittleEndian.Uint64(s[24:])
	if binary.LittleEndian.Uint16(s[40:])&1 == 0 {
		return time.Duration(min(ns, 1<<63-1))
	}
	now := uint64(time.Since(processStart))
	if binary.LittleEndian.Uint32(s[16:]) == 0 {
		now = uint64(time.Now().UnixNano())
	}
	if ns <= now {
		return 0
	}
	return time.Duration(min(ns-now, 1<<63-1))
}
