//go:build amd64 || arm64

package diskcalls

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Disk is what of the calls of processes has arrived on a disk for certain, and what may
// have: after a sync of a file its bytes, after one of a folder the names in it.
type Disk struct {
	// Heads is how many bytes files begin with of which any sixteen are taken for a sector,
	// 512 bytes everywhere else.
	Heads int64

	dir     string
	names   map[string]*file // as programs see them
	durable map[string]*file
	changes []map[string]*file // of names since their folder was synced; nil removes
	files   []*file
}

// file is what is durable, and calls since.
type file struct {
	durable []byte
	pending []Call
}

// NewDisk returns one for the files below dir, which has none.
func NewDisk(dir string) *Disk {
	return &Disk{dir: dir, names: map[string]*file{}, durable: map[string]*file{}}
}

func apply(b []byte, c Call) []byte {
	end := c.At + int64(len(c.Data))
	if c.Op == Truncate && end < int64(len(b)) {
		return b[:end]
	}
	if n := end - int64(len(b)); n > 0 {
		b = append(b, make([]byte, n)...)
	}
	copy(b[c.At:], c.Data)
	return b
}

func (f *file) live() []byte {
	b := slices.Clone(f.durable)
	for _, c := range f.pending {
		b = apply(b, c)
	}
	return b
}

func put(names, change map[string]*file) {
	for name, f := range change {
		if f == nil {
			delete(names, name)
		} else {
			names[name] = f
		}
	}
}

// Do makes a call. Files are written to from one place, at their end where a call does not
// say where.
func (d *Disk) Do(c Call) error {
	change := func(change map[string]*file) {
		d.changes = append(d.changes, change)
		put(d.names, change)
	}
	f := d.names[c.Path]
	switch {
	case c.Op == Open && f == nil:
		f = new(file)
		d.files = append(d.files, f)
		change(map[string]*file{c.Path: f})
	case c.Op == Open && c.Flag&unix.O_TRUNC != 0:
		f.pending = append(f.pending, Call{Op: Truncate, Path: c.Path})
	case c.Op == Open, c.Op == Mkdir: // a folder is there with the first name in it
	case c.Op == Remove && f == nil: // so that it is not there
	case c.Op == Sync && f == nil: // of a folder
		within := func(change map[string]*file) bool {
			for name := range change {
				if filepath.Dir(name) != c.Path {
					return false
				}
			}
			put(d.durable, change)
			return true
		}
		d.changes = slices.DeleteFunc(d.changes, within)
	case f == nil:
		return fmt.Errorf("%v: there is no such file", c)
	case c.Op == Write, c.Op == Truncate:
		if c.At < 0 {
			c.At = int64(len(f.live()))
		}
		f.pending = append(f.pending, c)
	case c.Op == Sync:
		f.durable, f.pending = f.live(), nil
	case c.Op == Rename:
		change(map[string]*file{c.Path: nil, c.To: f})
	case c.Op == Remove:
		change(map[string]*file{c.Path: nil})
	default:
		return fmt.Errorf("%v: unknown", c)
	}
	return nil
}

// Live returns the files as programs see them, by name below the folder.
func (d *Disk) Live() map[string][]byte {
	live := map[string][]byte{}
	for name, f := range d.names {
		live[d.below(name)] = f.live()
	}
	return live
}

func (d *Disk) below(path string) string { return strings.TrimPrefix(path, d.dir+"/") }

// States calls f with the files that may be found, by name below the folder, when the power
// fails now. Of all that is pending, in names and files, any part may have arrived: every subset
// of a few, of more none, all, all but one, one alone and some at random; and each write of
// those may have been cut off or begun too late at any sector, or lack every other one.
func (d *Disk) States(rng *rand.Rand, f func(map[string][]byte)) {
	type piece struct {
		file *file
		call Call
	}
	var pieces []piece
	for _, file := range d.files {
		for _, c := range file.pending {
			pieces = append(pieces, piece{file, c})
		}
	}
	build := func(names uint, arrived func(i int) bool, torn int, part []Call) {
		there := maps.Clone(d.durable)
		for i, c := range d.changes {
			if names>>i&1 == 1 {
				put(there, c)
			}
		}
		data := map[*file][]byte{}
		for _, file := range d.files {
			data[file] = slices.Clone(file.durable)
		}
		for i, p := range pieces {
			calls := []Call{p.call}
			switch {
			case i == torn:
				calls = part
			case !arrived(i):
				continue
			}
			for _, c := range calls {
				data[p.file] = apply(data[p.file], c)
			}
		}
		found := map[string][]byte{}
		for name, file := range there {
			found[d.below(name)] = data[file]
		}
		f(found)
	}
	subsets := func(n int) (all []uint) {
		every := uint(1)<<n - 1
		if n <= 5 {
			for m := range every + 1 {
				all = append(all, m)
			}
			return all
		}
		all = append(all, 0, every)
		for i := range n {
			all = append(all, 1<<i, every&^(1<<i))
		}
		for range 16 {
			all = append(all, uint(rng.Uint64())&every)
		}
		return all
	}
	for _, names := range subsets(len(d.changes)) {
		for _, m := range subsets(len(pieces)) {
			build(names, func(i int) bool { return m>>i&1 == 1 }, -1, nil)
		}
	}
	names := uint(1)<<len(d.changes) - 1
	for i, p := range pieces {
		for _, tear := range d.tears(p.call) {
			for _, others := range []bool{false, true} {
				build(names, func(int) bool { return others }, i, tear)
			}
		}
	}
}

// tears are the ways in which a part of a write arrives.
func (d *Disk) tears(c Call) (all [][]Call) {
	if c.Op != Write {
		return nil
	}
	cut := func(from, to int) Call {
		return Call{Op: c.Op, Path: c.Path, At: c.At + int64(from), Data: c.Data[from:to]}
	}
	n, sector := len(c.Data), 512
	if c.At < d.Heads {
		for at := 16; at < min(n, 96); at += 16 {
			all = append(all, []Call{cut(0, at)}, []Call{cut(at, n)})
		}
	}
	var even, odd []Call
	for at := 0; at < n; at += sector {
		if at > 0 {
			all = append(all, []Call{cut(0, at)}, []Call{cut(at, n)})
		}
		one := cut(at, min(at+sector, n))
		if at/sector%2 == 0 {
			even = append(even, one)
		} else {
			odd = append(odd, one)
		}
	}
	if n > 2*sector {
		all = append(all, even, odd)
	}
	return all
}
