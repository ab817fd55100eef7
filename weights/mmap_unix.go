//go:build unix

package weights

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
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
	return &mapping{data}, nil
}

func (m *mapping) close() error {
	if m.data == nil {
		return nil
	}
	data := m.data
	m.data = nil
	return unix.Munmap(data)
}

// release drops the pages that lie wholly in data, which begins at byte off of a mapped
// file. The kernel keeps what it likes of the file itself.
func release(data []byte, off int64) {
	page := os.Getpagesize()
	skip := int(-off & int64(page-1))
	if n := (len(data) - skip) &^ (page - 1); n > 0 {
		// An error would mean that the pages stay, which is no harm.
		_ = unix.Madvise(data[skip:][:n], unix.MADV_DONTNEED)
	}
}
