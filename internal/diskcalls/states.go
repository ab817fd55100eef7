package diskcalls

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
)

// States tells which states of a disk have been there. The zero one has seen none.
type States struct {
	seed maphash.Seed
	seen map[uint64]bool
}

// New reports whether these files, by name, are there for the first time with what is to be
// expected of them.
func (s *States) New(files map[string][]byte, expected ...any) bool {
	if s.seen == nil {
		s.seed, s.seen = maphash.MakeSeed(), map[uint64]bool{}
	}
	var h maphash.Hash
	h.SetSeed(s.seed)
	fmt.Fprintln(&h, expected...)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprint(&h, name, len(files[name]))
		h.Write(files[name])
	}
	sum := h.Sum64()
	if s.seen[sum] {
		return false
	}
	s.seen[sum] = true
	return true
}

// N is how many have been there.
func (s *States) N() int { return len(s.seen) }
