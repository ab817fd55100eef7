package journal

import (
	"encoding/binary"
	"io"
	"math"
)

// checkFile finds what would make bbolt panic, fault, allocate without bound or loop:
// it walks every page that the newest valid meta reaches and the list of free ones.
// Contents of records have checksums of their own. Errors are of type damage or those
// of f.
func checkFile(f io.ReaderAt, size int64) error {
	root, freelist, pages, err := readMetas(f, size)
	if err != nil {
		return err
	}
	c := checker{pager: pager{f, pages}, used: make([]uint64, pages/64+1)}
	if err := c.walk(root, span{}, 0, true); err != nil {
		return err
	}
	return c.free(freelist)
}

type checker struct {
	pager
	used   []uint64 // bits
	levels []*page  // of the way from the root
}

// use marks a page and reports whether it was free to be marked.
func (c *checker) use(id uint64) bool {
	if id < 2 || id >= c.pages || c.used[id/64]>>(id%64)&1 != 0 {
		return false
	}
	c.used[id/64] |= 1 << (id % 64)
	return true
}

// page reads a page that nothing else uses, so many below the root.
func (c *checker) page(id uint64, depth int) (*page, error) {
	if len(c.levels) <= depth {
		c.levels = append(c.levels, new(page))
	}
	p := c.levels[depth]
	if err := c.read(id, p); err != nil {
		return nil, err
	}
	for i := range uint64(len(p.bytes) / pageSize) {
		if !c.use(id + i) {
			return nil, damaged("page %d of %d is in two places", id+i, c.pages)
		}
	}
	return p, nil
}

// walk checks a tree. Buckets may be in the topmost only.
func (c *checker) walk(id uint64, s span, depth int, top bool) error {
	if depth > maxDepth {
		return damaged("page %d is %d deep", id, depth)
	}
	p, err := c.page(id, depth)
	if err == nil {
		err = p.elements(s)
	}
	if err != nil {
		return err
	}
	if p.flags == leafPage {
		return c.leaf(p, depth, top)
	}
	for i := range p.count {
		child, within := p.child(i, s)
		if err := c.walk(child, within, depth+1, top); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks the values of a page, and the buckets whose entries they are.
func (c *checker) leaf(p *page, depth int, top bool) error {
	for i := range p.count {
		v, bucket, err := p.value(i, top)
		if err != nil {
			return err
		}
		if !bucket {
			continue
		}
		root, within, err := bucketAt(p.id, v)
		switch {
		case err != nil:
			return err
		case root != 0:
			err = c.walk(root, span{}, depth+1, false)
		default:
			if err = within.elements(span{}); err == nil {
				err = c.leaf(&within, depth+1, false)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// free checks the list of free pages.
func (c *checker) free(id uint64) error {
	p, err := c.page(id, 0)
	if err != nil {
		return err
	}
	if p.flags != freelistPage {
		return damaged("page %d is no list of free pages", id)
	}
	list := p.bytes[pageHead:]
	n := uint64(p.count)
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
