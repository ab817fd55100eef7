//go:build unix

package weights

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/fault"
)

// mapping is one file in memory.
type mapping struct{ data []byte }

// openMapping maps a regular file read-only. An empty file, which cannot be
// mapped, has no data.
func openMapping(path string) (*mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the map outlives the descriptor
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	size := info.Size()
	if size > math.MaxInt {
		return nil, fmt.Errorf("%s: %d bytes are more than this machine can map", path, size)
	}
	if size == 0 {
		return &mapping{}, nil
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: map %d bytes: %w", path, size, err)
	}
	fault.Add(path, data)
	return &mapping{data}, nil
}

func (m *mapping) close() error {
	if m.data == nil {
		return nil
	}
	data := m.data
	m.data = nil
	fault.Remove(data)
	return unix.Munmap(data)
}

// release drops all pages from the map. The kernel keeps what it likes of the file itself.
func (m *mapping) release() {
	if m.data != nil {
		// An error would mean that the pages stay, which is no harm.
		_ = unix.Madvise(m.data, unix.MADV_DONTNEED)
	}
}
