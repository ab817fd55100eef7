package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// The format of bbolt's file, version 2: pages of pageSize bytes, the first two of
// them metas, of which the valid one with the higher transaction counts. It is
// written in the byte order of the machine, little-endian wherever edged runs.
const (
	pageSize     = 4096
	pageHead     = 16 // id u64, flags u16, count u16, overflow u32
	elementSize  = 16
	bucketHead   = 16 // root page u64, sequence u64
	magic        = 0xED0CDAED
	fileVersion  = 2
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketFlag   = 0x01
	maxDepth     = 64
)

// damage is what is wrong with a file, as opposed to an error of reading it.
type damage string

func (d damage) Error() string { return string(d) }

func damaged(format string, args ...any) error { return damage(fmt.Sprintf(format, args...)) }

// checkFile finds what would make bbolt panic, fault, allocate without bound or loop:
// it walks every page that the newest valid meta reaches and the list of free ones.
// Contents of records have checksums of their own. Errors are of type damage or those
// of f.
func checkFile(f io.ReaderAt, size int64) error {
	root, freelist, pages, err := readMetas(f, size)
	if err != nil {
		return err
	}
	c := checker{f: f, pages: pages, used: make([]uint64, pages/64+1)}
	c.use(0)
	c.use(1)
	if err := c.walk(root, span{}, 0, true); err != nil {
		return err
	}
	return c.free(freelist)
}

// readMetas returns what the newest valid meta says: the root page, the page of
// the list of free pages, and how many pages are in use or free.
func readMetas(f io.ReaderAt, size int64) (root, freelist, pages uint64, err error) {
	newest, found := uint64(0), false
	var b [pageHead + 64]byte
	for i := range int64(2) {
		if size < (i+1)*pageSize {
			return 0, 0, 0, damaged("%d bytes are no log", size)
		}
		if _, err := f.ReadAt(b[:], i*pageSize); err != nil {
			return 0, 0, 0, err
		}
		m, u64 := b[pageHead:], binary.LittleEndian.Uint64
		sum := fnv.New64a()
		sum.Write(m[:56])
		switch txid := u64(m[48:]); {
		case binary.LittleEndian.Uint32(m) != magic, binary.LittleEndian.Uint32(m[4:]) != fileVersion,
			binary.LittleEndian.Uint32(m[8:]) != pageSize, u64(m[56:]) != sum.Sum64():
		case !found || txid > newest:
			newest, found = txid, true
			root, freelist, pages = u64(m[16:]), u64(m[32:]), u64(m[40:])
		}
	}
	switch {
	case !found:
		return 0, 0, 0, damaged("neither of its two heads is valid")
	case pages < 4 || pages > uint64(size/pageSize):
		return 0, 0, 0, damaged("%d pages in %d bytes", pages, size)
	}
	return root, freelist, pages, nil
}

type checker struct {
	f     io.ReaderAt
	pages uint64
	used  []uint64 // bits
}

// use marks a page and reports whether it was free to be marked.
func (c *checker) use(id uint64) bool {
	if id >= c.pages || c.used[id/64]>>(id%64)&1 != 0 {
		return false
	}
	c.used[id/64] |= 1 << (id % 64)
	return true
}

// page reads a page with those that continue it, which no record and no list of free
// pages needs many of.
func (c *checker) page(id uint64) (p []byte, flags uint16, count int, err error) {
	if !c.use(id) {
		return nil, 0, 0, damaged("page %d of %d is in two places or none", id, c.pages)
	}
	var head [pageHead]byte
	if _, err := c.f.ReadAt(head[:], int64(id)*pageSize); err != nil {
		return nil, 0, 0, err
	}
	more := uint64(binary.LittleEndian.Uint32(head[12:]))
	if more > 32+c.pages*8/pageSize {
		return nil, 0, 0, damaged("page %d claims %d pages more", id, more)
	}
	for i := range more {
		if !c.use(id + 1 + i) {
			return nil, 0, 0, damaged("page %d is continued in page %d", id, id+1+i)
		}
	}
	p = make([]byte, (more+1)*pageSize)
	if _, err := c.f.ReadAt(p, int64(id)*pageSize); err != nil {
		return nil, 0, 0, err
	}
	if self := binary.LittleEndian.Uint64(p); self != id {
		return nil, 0, 0, damaged("page %d calls itself %d", id, self)
	}
	return p, binary.LittleEndian.Uint16(p[8:]), int(binary.LittleEndian.Uint16(p[10:])), nil
}

// span is where keys of a tree lie: from low, and below high unless that is nil.
type span struct{ low, high []byte }

// walk checks a tree. Buckets may be in the topmost only.
func (c *checker) walk(id uint64, s span, depth int, top bool) error {
	if depth > maxDepth {
		return damaged("page %d is %d deep", id, depth)
	}
	p, flags, count, err := c.page(id)
	if err != nil {
		return err
	}
	switch {
	case flags == leafPage:
		return c.leaf(id, p, count, s, depth, top)
	case flags != branchPage:
		return damaged("page %d has the flags %#x", id, flags)
	case count == 0:
		return damaged("page %d branches to nothing", id)
	case pageHead+count*elementSize > len(p):
		return damaged("page %d has no room for its %d elements", id, count)
	}
	keys := make([][]byte, count)
	for i := range keys {
		at := pageHead + i*elementSize
		if keys[i], err = part(id, p, at, word(p, at), 0, word(p, at+4)); err != nil {
			return err
		}
	}
	if err := ordered(id, keys, s); err != nil {
		return err
	}
	for i := range keys {
		within := span{keys[i], s.high}
		if i+1 < count {
			within.high = keys[i+1]
		}
		child := binary.LittleEndian.Uint64(p[pageHead+i*elementSize+8:])
		if err := c.walk(child, within, depth+1, top); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a page of keys with values, also one inside a value.
func (c *checker) leaf(id uint64, p []byte, count int, s span, depth int, top bool) error {
	if pageHead+count*elementSize > len(p) {
		return damaged("page %d has no room for its %d elements", id, count)
	}
	keys := make([][]byte, count)
	for i := range keys {
		at := pageHead + i*elementSize
		flags, pos, ksize := word(p, at), word(p, at+4), word(p, at+8)
		var err error
		if keys[i], err = part(id, p, at, pos, 0, ksize); err != nil {
			return err
		}
		value, err := part(id, p, at, pos, ksize, word(p, at+12))
		switch {
		case err != nil:
			return err
		case flags == 0:
			continue
		case flags != bucketFlag || !top:
			return damaged("page %d: element %d has the flags %#x", id, i, flags)
		}
		if err := c.bucket(id, value, depth); err != nil {
			return err
		}
	}
	return ordered(id, keys, s)
}

// bucket checks a bucket by its entry.
func (c *checker) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketHead {
		return damaged("page %d: a bucket of %d bytes", id, len(value))
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return c.walk(root, span{}, depth+1, false)
	}
	p := value[bucketHead:]
	if len(p) < pageHead || binary.LittleEndian.Uint16(p[8:]) != leafPage {
		return damaged("page %d: a bucket without a page", id)
	}
	return c.leaf(id, p, int(binary.LittleEndian.Uint16(p[10:])), span{}, depth+1, false)
}

func word(p []byte, at int) uint32 { return binary.LittleEndian.Uint32(p[at:]) }

// part is the size bytes that begin skip after pos, which counts from the element
// at at.
func part(id uint64, p []byte, at int, pos, skip, size uint32) ([]byte, error) {
	from := uint64(at) + uint64(pos) + uint64(skip)
	if to := from + uint64(size); to <= uint64(len(p)) && size < math.MaxInt32 {
		return p[from:to], nil
	}
	return nil, damaged("page %d: an element ends outside", id)
}

func ordered(id uint64, keys [][]byte, s span) error {
	for i, k := range keys {
		if len(k) == 0 || i == 0 && bytes.Compare(k, s.low) < 0 || i > 0 && bytes.Compare(keys[i-1], k) >= 0 ||
			s.high != nil && bytes.Compare(k, s.high) >= 0 {
			return damaged("page %d: key %d is out of order", id, i)
		}
	}
	return nil
}

// free checks the list of free pages.
func (c *checker) free(id uint64) error {
	p, flags, count, err := c.page(id)
	if err != nil {
		return err
	}
	if flags != freelistPage {
		return damaged("page %d is no list of free pages", id)
	}
	list := p[pageHead:]
	n := uint64(count)
	if n == math.MaxUint16 {
		n, list = binary.LittleEndian.Uint64(list), list[8:]
	}
	if n > uint64(len(list)/8) {
		return damaged("page %d has no room for %d free pages", id, n)
	}
	for i := range n {
		if free := binary.LittleEndian.Uint64(list[8*i:]); !c.use(free) {
			return damaged("page %d is free and used, or twice free", free)
		}
	}
	return nil
}
