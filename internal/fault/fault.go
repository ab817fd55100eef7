// Package fault says which file it is that cannot be read where it is mapped: one that has become shorter, as cp makes
// it that writes into a file, or one on a disk that fails. The kernel answers with a signal (SIGBUS), of
// which the runtime would tell the address alone.
package fault

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

var (
	mu   sync.Mutex
	maps = map[*byte]mapped{}
)

type mapped struct {
	path string
	size uintptr
}

// Add notes that a file is mapped as data, which has a byte at least.
func Add(path string, data []byte) {
	mu.Lock()
	defer mu.Unlock()
	maps[&data[0]] = mapped{path, uintptr(len(data))}
}

// Remove forgets what was noted of data.
func Remove(data []byte) {
	mu.Lock()
	defer mu.Unlock()
	delete(maps, &data[0])
}

// at returns the file that is mapped at an address, or where that is not known one that has become shorter; "" where there is none.
func at(addr uintptr, known bool) string {
	mu.Lock()
	defer mu.Unlock()
	for first, m := range maps {
		if known && addr-uintptr(unsafe.Pointer(first)) < m.size {
			return m.path
		}
		if known {
			continue
		}
		if info, err := os.Stat(m.path); err == nil && info.Size() < int64(m.size) {
			return m.path
		}
	}
	return ""
}

// Explain is deferred, as Explain(debug.SetPanicOnFault(true)), by functions that read mapped files, in Go or
// assembly: a fault there ends the process with a panic that names the file and says what to do. Others go on as they are.
func Explain(before bool) {
	debug.SetPanicOnFault(before)
	p := recover()
	if p == nil {
		return
	}
	if _, ok := p.(runtime.Error); ok {
		var addr uintptr
		f, known := p.(interface{ Addr() uintptr }) // emulators do not tell
		if known {
			addr = f.Addr()
		}
		if path := at(addr, known); path != "" {
			panic(path + " cannot be read any more: it was cut off while it is in use (replace it with mv, not cp), or its disk fails")
		}
	}
	panic(p)
}
