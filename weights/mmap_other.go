//go:build !unix

package weights

import "os"

// mapping is one file in memory; without mmap, a copy of it.
type mapping struct{ data []byte }

func openMapping(path string) (*mapping, error) {
	data, err := os.ReadFile(path)
	return &mapping{data}, err
}

func (m *mapping) close() error {
	m.data = nil
	return nil
}

func (m *mapping) release() {}
