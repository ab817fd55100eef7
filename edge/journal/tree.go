package journal

import (
	"bytes"
	"io"
	"slices"
	"sort"
)

// cursor is what a search needs of a bucket: bbolt's [bbolt.Cursor], or one of a [tree].
// Keys and values are valid until it moves; nil is beyond the end.
type cursor interface {
	Seek(key []byte) (k, v []byte)
	Next() (k, v []byte)
	Prev() (k, v []byte)
	Last() (k, v []byte)
}

// tables gives the buckets of a file by their names.
type tables func(name []byte) cursor

// tree reads the buckets of a file without bbolt and checks each page that it comes to, so
// that a search costs what it reads, not what there is, whatever the disk did to the file.
type tree struct {
	pager
	buckets map[string]*treeCursor // where they begin
	err     error                  // the first that reading met; cursors are at their ends then
}

// openTree finds the buckets of a log. Errors are of type damage or those of f.
func openTree(f io.ReaderAt, size int64) (*tree, error) {
	root, _, pages, err := readMetas(f, size)
	if err != nil {
		return nil, err
	}
	t := &tree{pager: pager{f, pages}, buckets: map[string]*treeCursor{}}
	for _, name := range [][]byte{recordsName, blocksName, bootsName} {
		top := treeCursor{t: t, root: root, top: true}
		k, entry := top.Seek(name)
		switch {
		case t.err != nil:
			return nil, t.err
		case string(k) != string(name), !top.bucket:
			return nil, damaged("it has no bucket %s", name)
		}
		c := treeCursor{t: t}
		if c.root, c.within, err = bucketAt(root, slices.Clone(entry)); err != nil {
			return nil, err
		}
		t.buckets[string(name)] = &c
	}
	return t, nil
}

// cursor is [tables].
func (t *tree) cursor(name []byte) cursor {
	c := *t.buckets[string(name)]
	return &c
}

// treeCursor is a place in a bucket.
type treeCursor struct {
	t      *tree
	root   uint64
	within page // where root is 0
	top    bool // the bucket of buckets
	bucket bool // so is the value

	levels []*level // those of path first, others to be used again
	depth  int      // of the path from the root to a leaf
}

// level is a page on the way from the root, and the element that is meant. Between moves that is
// one before the first or behind the last where the cursor is there.
type level struct {
	page
	at   int
	span span
}

// Seek goes to the first key that is not below key.
func (c *treeCursor) Seek(key []byte) (k, v []byte) {
	c.depth = 0
	for l := c.enter(c.root, span{}); l != nil; {
		i := sort.Search(l.count, func(i int) bool { return bytes.Compare(l.keys[i], key) >= 0 })
		if l.flags == leafPage {
			l.at = i - 1
			return c.step(1)
		}
		if i == l.count || i > 0 && !bytes.Equal(l.keys[i], key) {
			i--
		}
		l.at = i
		l = c.enter(l.child(i, l.span))
	}
	return nil, nil
}

// Last goes to the last key.
func (c *treeCursor) Last() (k, v []byte) {
	c.depth = 0
	l := c.enter(c.root, span{})
	if l == nil {
		return nil, nil
	}
	l.at = l.count
	return c.step(-1)
}

// Next goes one on.
func (c *treeCursor) Next() (k, v []byte) { return c.step(1) }

// Prev goes one back.
func (c *treeCursor) Prev() (k, v []byte) { return c.step(-1) }

// step goes by one, which is 1 or -1.
func (c *treeCursor) step(by int) (k, v []byte) {
	for n := c.depth - 1; n >= 0; {
		l := c.levels[n]
		next := l.at + by
		if next < 0 || next >= l.count {
			n--
			continue
		}
		l.at, c.depth = next, n+1
		if l.flags == leafPage {
			return c.here(l)
		}
		child := c.enter(l.child(next, l.span))
		if child == nil {
			return nil, nil
		}
		if child.at = -1; by < 0 {
			child.at = child.count
		}
		n++
	}
	if c.depth > 0 {
		leaf := c.levels[c.depth-1]
		leaf.at = max(-1, min(leaf.at+by, leaf.count))
	}
	return nil, nil
}

// enter goes down to a page; nil if that cannot be.
func (c *treeCursor) enter(id uint64, s span) *level {
	if c.depth > maxDepth {
		return c.fail(damaged("page %d is %d deep", id, c.depth))
	}
	if len(c.levels) == c.depth {
		c.levels = append(c.levels, new(level))
	}
	l := c.levels[c.depth]
	var err error
	if id == 0 && c.depth == 0 {
		l.page = c.within
	} else {
		err = c.t.read(id, &l.page)
	}
	if err == nil {
		err = l.elements(s)
	}
	if err != nil {
		return c.fail(err)
	}
	l.span = s
	c.depth++
	return l
}

func (c *treeCursor) here(leaf *level) (k, v []byte) {
	v, bucket, err := leaf.value(leaf.at, c.top)
	if err != nil {
		c.fail(err)
		return nil, nil
	}
	c.bucket = bucket
	return leaf.keys[leaf.at], v
}

// fail ends the cursor and what reads the tree.
func (c *treeCursor) fail(err error) *level {
	c.depth = 0
	if c.t.err == nil {
		c.t.err = err
	}
	return nil
}
