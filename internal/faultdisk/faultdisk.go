// Package faultdisk is a disk in memory for tests: it fails when told to, and
// shows every state in which it may come up again after a power cut.
//
// What a disk promises is little: after Sync the bytes of a file, after SyncDir
// the names of a folder. Everything since may have arrived or not, in any order;
// of bytes, single sectors. A rename arrives whole or not at all.
package faultdisk

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/visualrwkv/edged/internal/disk"
)

// Disk implements [disk.FS]. Its zero value is not ready, see New.
type Disk struct {
	// Fault is called before each operation with its name and the path, and
	// makes it fail. A write that fails has written half. nil: nothing fails.
	Fault func(op, path string) error

	// After is called after each operation that changed something, while the
	// disk is not in use. nil: nobody is told.
	After func(op, path string)

	// Room is how many bytes the files may have, all together. 0: there is no end.
	Room int64

	mu      sync.Mutex
	names   map[string]*inode // as programs see them
	durable map[string]*inode // as they are on the disk
	pending []change          // of names since the last SyncDir, in order
}

// inode is a file. durable is a prefix of what was written, or what it was
// before it was written again.
type inode struct{ live, durable []byte }

func (n *inode) synced() bool { return bytes.Equal(n.live, n.durable) }

// change is what one operation does to names; nil removes.
type change map[string]*inode

// New returns an empty disk.
func New() *Disk {
	return &Disk{names: map[string]*inode{}, durable: map[string]*inode{}}
}

// Clone returns a disk with the same files, as programs see them and as they are on it.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	same := map[*inode]*inode{nil: nil}
	clone := func(names map[string]*inode) map[string]*inode {
		c := map[string]*inode{}
		for name, n := range names {
			if _, ok := same[n]; !ok {
				same[n] = &inode{slices.Clone(n.live), slices.Clone(n.durable)}
			}
			c[name] = same[n]
		}
		return c
	}
	c := &Disk{names: clone(d.names), durable: clone(d.durable)}
	for _, p := range d.pending {
		c.pending = append(c.pending, clone(p))
	}
	return c
}

// do runs one operation. change, when not nil, is what it did to names.
func (d *Disk) do(op, path string, f func() (change, error)) error {
	if d.Fault != nil {
		if err := d.Fault(op, path); err != nil {
			return &fs.PathError{Op: op, Path: path, Err: err}
		}
	}
	d.mu.Lock()
	c, err := f()
	if c != nil {
		c.apply(d.names)
		d.pending = append(d.pending, c)
	}
	d.mu.Unlock()
	if err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	if d.After != nil && op != "open" && op != "names" && op != "free" {
		d.After(op, path)
	}
	return nil
}

func (c change) apply(to map[string]*inode) {
	for name, n := range c {
		if n == nil {
			delete(to, name)
		} else {
			to[name] = n
		}
	}
}

// MkdirAll implements [disk.FS]. Folders are always there.
func (d *Disk) MkdirAll(dir string) error {
	return d.do("mkdir", dir, func() (change, error) { return nil, nil })
}

// Names implements [disk.FS].
func (d *Disk) Names(dir string) (names []string, err error) {
	err = d.do("names", dir, func() (change, error) {
		for name := range d.names {
			if filepath.Dir(name) == dir {
				names = append(names, filepath.Base(name))
			}
		}
		slices.Sort(names)
		return nil, nil
	})
	return names, err
}

// Open implements [disk.FS].
func (d *Disk) Open(path string) (f disk.File, err error) {
	err = d.do("open", path, func() (change, error) {
		n := d.names[path]
		if n == nil {
			return nil, fs.ErrNotExist
		}
		f = &file{d: d, path: path, n: n}
		return nil, nil
	})
	return f, err
}

// Create implements [disk.FS].
func (d *Disk) Create(path string) (f disk.File, err error) {
	err = d.do("create", path, func() (change, error) {
		n := d.names[path]
		if n != nil {
			n.live = nil
			f = &file{d: d, path: path, n: n}
			return nil, nil
		}
		n = &inode{}
		f = &file{d: d, path: path, n: n}
		return change{path: n}, nil
	})
	return f, err
}

// Resume implements [disk.FS].
func (d *Disk) Resume(path string, size int64) (f disk.File, err error) {
	err = d.do("resume", path, func() (change, error) {
		n := d.names[path]
		if n == nil {
			return nil, fs.ErrNotExist
		}
		n.live = n.live[:size:size]
		f = &file{d: d, path: path, n: n}
		return nil, nil
	})
	return f, err
}

// Rename implements [disk.FS].
func (d *Disk) Rename(from, to string) error {
	return d.do("rename", from, func() (change, error) {
		n := d.names[from]
		if n == nil {
			return nil, fs.ErrNotExist
		}
		return change{from: nil, to: n}, nil
	})
}

// Remove implements [disk.FS].
func (d *Disk) Remove(path string) error {
	return d.do("remove", path, func() (change, error) {
		if d.names[path] == nil {
			return nil, fs.ErrNotExist
		}
		return change{path: nil}, nil
	})
}

// SyncDir implements [disk.FS]. Renames are within a folder.
func (d *Disk) SyncDir(dir string) error {
	return d.do("syncdir", dir, func() (change, error) {
		d.pending = slices.DeleteFunc(d.pending, func(c change) bool {
			for name := range c {
				if filepath.Dir(name) != dir {
					return false
				}
			}
			c.apply(d.durable)
			return true
		})
		return nil, nil
	})
}

// Free implements [disk.FS].
func (d *Disk) Free(dir string) (n int64, err error) {
	err = d.do("free", dir, func() (change, error) {
		n = math.MaxInt64
		if d.Room > 0 {
			n = d.Room - d.bytes()
		}
		return nil, nil
	})
	return n, err
}

// Bytes returns how much the files hold.
func (d *Disk) Bytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bytes()
}

func (d *Disk) bytes() (n int64) {
	for _, f := range d.names {
		n += int64(len(f.live))
	}
	return n
}

// Edit changes a file behind the back of whoever wrote it. It reports whether
// there is one.
func (d *Disk) Edit(path string, f func(data []byte) []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[path]
	if n == nil {
		return false
	}
	n.live = f(slices.Clone(n.live))
	n.durable = slices.Clone(n.live)
	return true
}

type file struct {
	d    *Disk
	path string
	n    *inode
	at   int
}

func (f *file) Read(p []byte) (k int, err error) {
	if f.d.Fault != nil {
		if err := f.d.Fault("read", f.path); err != nil {
			return 0, &fs.PathError{Op: "read", Path: f.path, Err: err}
		}
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.at >= len(f.n.live) {
		return 0, io.EOF
	}
	k = copy(p, f.n.live[f.at:])
	f.at += k
	return k, nil
}

func (f *file) Write(p []byte) (int, error) {
	n := len(p)
	err := f.d.do("write", f.path, func() (change, error) {
		if f.d.Room > 0 && f.d.bytes()+int64(n) > f.d.Room {
			return nil, syscall.ENOSPC
		}
		f.n.live = append(f.n.live, p...)
		return nil, nil
	})
	if err != nil {
		n /= 2
		f.d.mu.Lock()
		f.n.live = append(f.n.live, p[:n]...)
		f.d.mu.Unlock()
	}
	return n, err
}

func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.n.live)), nil
}

func (f *file) Sync() error {
	return f.d.do("sync", f.path, func() (change, error) {
		f.n.durable = slices.Clone(f.n.live)
		return nil, nil
	})
}

func (f *file) Close() error { return nil }

// maxPending is how many changes of names States combines freely; of more, the
// older ones arrive in order.
const maxPending = 8

// States yields the disks that may be found when the power fails now: every
// subset of the changes of names, and for each file that was not synced several
// ways to lose bytes.
func (d *Disk) States(yield func(*Disk) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := d.pending[max(0, len(d.pending)-maxPending):]
	base := maps.Clone(d.durable)
	for _, c := range d.pending[:len(d.pending)-len(free)] {
		c.apply(base)
	}
	for mask := range 1 << len(free) {
		names := maps.Clone(base)
		for i, c := range free {
			if mask>>i&1 == 1 {
				c.apply(names)
			}
		}
		for damage := range damages {
			up := New()
			whole := true
			for name, n := range names {
				whole = whole && n.synced()
				data := damage.lose(n)
				f := &inode{live: data, durable: data}
				up.names[name], up.durable[name] = f, f
			}
			if !yield(up) {
				return
			}
			if whole {
				break // every damage gives the same
			}
		}
	}
}

const (
	sector  = 512
	damages = damage(6)
)

type damage int

// lose returns what of a file is found.
func (k damage) lose(n *inode) []byte {
	if n.synced() {
		return slices.Clone(n.live)
	}
	switch k {
	case 0: // nothing since the last sync arrived
		return slices.Clone(n.durable)
	case 1: // everything did
		return slices.Clone(n.live)
	case 2: // the first half
		return slices.Clone(n.live[:len(n.live)/2])
	case 3: // all but the last byte's sector
		return slices.Clone(n.live[:max(0, len(n.live)-1)/sector*sector])
	}
	// The length arrived, and every other sector.
	data := slices.Clone(n.live)
	for at := (int(k) - 4) * sector; at < len(data); at += 2 * sector {
		clear(data[at:min(at+sector, len(data))])
	}
	return data
}

// String lists the files, for messages of tests.
func (d *Disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(d.names)), " ")
}
