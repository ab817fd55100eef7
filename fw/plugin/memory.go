package plugin

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const pageSize = 64 << 10 // of WASM's memory, bytes

// memory is an instance's linear memory: address space of its limit, of which the kernel
// gives what is touched. So it never moves, growing copies nothing, and closing the instance
// gives all of it back at once.
type memory struct {
	space []byte
	limit uint64 // bytes that the guest may have
	size  uint64 // that it has
	in    *instance
}

func newMemory(limit uint64, in *instance) (*memory, error) {
	b, err := unix.Mmap(-1, 0, int(max(limit, pageSize)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of memory: %w", limit, err)
	}
	return &memory{space: b, limit: limit, in: in}, nil
}

// Reallocate implements wazero's LinearMemory. What it asks for is more than it has had; nil
// means no. By asking for too much the guest's meter calls the host.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		if size-m.size == growDepth*pageSize {
			panic(errDepth)
		}
		m.in.tick()
		return nil
	}
	m.size = size
	return m.space[:size:size]
}

// Free implements wazero's LinearMemory. It keeps the memory: wazero frees it when a guest
// ends itself, while the host may be at work on it.
func (m *memory) Free() {}

func (m *memory) close() error { return unix.Munmap(m.space) }

// read returns size bytes of what the guest has; false: it has not got them.
func (m *memory) read(ptr, size uint32) ([]byte, bool) {
	end := uint64(ptr) + uint64(size)
	if end > m.size {
		return nil, false
	}
	return m.space[ptr:end:end], true
}
