package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
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

// pager reads pages of a file. Errors are of type damage or those of f.
type pager struct {
	f     io.ReaderAt
	pages uint64 // in use or free, as its meta says
}

// page is one of a file with those that continue it, or one of a small bucket, which lies
// within the entry of that.
type page struct {
	id    uint64
	bytes []byte
	flags uint16
	count int      // of elements
	keys  [][]byte // of elements, once they were looked at
}

// read reads a page in the place of what p was. No record and no list of free pages is continued
// in many.
func (r *pager) read(id uint64, p *page) error {
	if id < 2 || id >= r.pages {
		return damaged("page %d is none of %d", id, r.pages)
	}
	p.bytes = slices.Grow(p.bytes[:0], pageSize)[:pageSize]
	if _, err := r.f.ReadAt(p.bytes, int64(id)*pageSize); err != nil {
		return err
	}
	if self := binary.LittleEndian.Uint64(p.bytes); self != id {
		return damaged("page %d calls itself %d", id, self)
	}
	if more := uint64(word(p.bytes, 12)); more > 0 {
		if more > 32+r.pages*8/pageSize || id+more >= r.pages {
			return damaged("page %d claims %d pages more", id, more)
		}
		p.bytes = slices.Grow(p.bytes, int(more)*pageSize)[:(more+1)*pageSize]
		if _, err := r.f.ReadAt(p.bytes[pageSize:], int64(id+1)*pageSize); err != nil {
			return err
		}
	}
	p.head(id)
	return nil
}

// head takes in what a page says of itself.
func (p *page) head(id uint64) {
	p.id, p.flags, p.count = id, binary.LittleEndian.Uint16(p.bytes[8:]), int(binary.LittleEndian.Uint16(p.bytes[10:]))
}

// span is where keys of a tree lie: from low, and below high unless that is nil.
type span struct{ low, high []byte }

// elements looks at the keys of a page of a tree.
func (p *page) elements(s span) (err error) {
	switch {
	case p.flags != leafPage && p.flags != branchPage:
		return damaged("page %d has the flags %#x", p.id, p.flags)
	case p.flags == branchPage && p.count == 0:
		return damaged("page %d branches to nothing", p.id)
	case pageHead+p.count*elementSize > len(p.bytes):
		return damaged("page %d has no room for its %d elements", p.id, p.count)
	}
	p.keys = slices.Grow(p.keys[:0], p.count)[:p.count]
	for i := range p.keys {
		at := pageHead + i*elementSize
		first := at // of position and size of the key, which a leaf has after flags
		if p.flags == leafPage {
			first += 4
		}
		if p.keys[i], err = part(p.id, p.bytes, at, word(p.bytes, first), 0, word(p.bytes, first+4)); err != nil {
			return err
		}
	}
	for i, k := range p.keys {
		if len(k) == 0 || i == 0 && bytes.Compare(k, s.low) < 0 || i > 0 && bytes.Compare(p.keys[i-1], k) >= 0 ||
			s.high != nil && bytes.Compare(k, s.high) >= 0 {
			return damaged("page %d: key %d is out of order", p.id, i)
		}
	}
	return nil
}

// child is the page that element i of a branch leads to, and where its keys lie within s.
func (p *page) child(i int, s span) (id uint64, within span) {
	within = span{p.keys[i], s.high}
	if i+1 < p.count {
		within.high = p.keys[i+1]
	}
	return binary.LittleEndian.Uint64(p.bytes[pageHead+i*elementSize+8:]), within
}

// value is that of element i of a leaf. Entries of buckets, flagged so, may be in the topmost
// tree only.
func (p *page) value(i int, top bool) (v []byte, bucket bool, err error) {
	at := pageHead + i*elementSize
	flags := word(p.bytes, at)
	if flags != 0 && (flags != bucketFlag || !top) {
		return nil, false, damaged("page %d: element %d has the flags %#x", p.id, i, flags)
	}
	v, err = part(p.id, p.bytes, at, word(p.bytes, at+4), word(p.bytes, at+8), word(p.bytes, at+12))
	return v, flags == bucketFlag, err
}

// bucketAt reads a bucket's entry, which lies in page id: its root page, or where that is 0 the
// page within it.
func bucketAt(id uint64, entry []byte) (root uint64, within page, err error) {
	if len(entry) < bucketHead {
		return 0, page{}, damaged("page %d: a bucket of %d bytes", id, len(entry))
	}
	if root := binary.LittleEndian.Uint64(entry); root != 0 {
		return root, page{}, nil
	}
	within = page{bytes: entry[bucketHead:]}
	if len(within.bytes) < pageHead || binary.LittleEndian.Uint16(within.bytes[8:]) != leafPage {
		return 0, page{}, damaged("page %d: a bucket without a page", id)
	}
	within.head(id)
	return 0, within, nil
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
