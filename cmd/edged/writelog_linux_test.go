package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
)

// diskWrite is one thing that a disk was told to do.
type diskWrite struct {
	at    int64
	data  []byte
	flush bool // first, everything that was written before is to be kept
	fua   bool // this write is to be kept
}

// readWriteLog reads a log of scripts/vm.sh, as the kernel's dm-log-writes has them: sectors,
// the first with the number of entries and the size of a sector, then each entry in one, and
// what it wrote.
func readWriteLog(path string) (log []diskWrite, err error) {
	const (
		magic                       = 0x6a736677736872
		flush, fua, discard, marked = 1, 2, 4, 8
	)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	u64 := binary.LittleEndian.Uint64
	if len(b) < 512 || u64(b) != magic || u64(b[8:]) != 1 || binary.LittleEndian.Uint32(b[24:]) != 512 {
		return nil, fmt.Errorf("%s is no log of a disk's writes in sectors of 512 bytes", path)
	}
	at := uint64(512)
	for range u64(b[16:]) {
		if at+512 > uint64(len(b)) {
			break // who wrote the log was killed
		}
		h := b[at:]
		flags, size := u64(h[16:]), 512*u64(h[8:])
		at += 512
		w := diskWrite{at: 512 * int64(u64(h)), flush: flags&flush != 0, fua: flags&fua != 0}
		if flags&(discard|marked) == 0 {
			if size > uint64(len(b))-at {
				break
			}
			w.data = b[at : at+size]
			at += size
		}
		log = append(log, w)
	}
	if len(log) == 0 {
		return nil, fmt.Errorf("%s holds no writes", path)
	}
	return log, nil
}

// diskBlock is what a disk writes whole or not at all.
const diskBlock = 4096

// diskImage is what a disk holds, by number of the block; others are zero. Blocks are not
// written over but replaced, so that copies of the map may share them.
type diskImage struct {
	blocks map[int64][]byte
	size   int64
}

func readDiskImage(path string) (*diskImage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &diskImage{blocks: map[int64][]byte{}}
	buf := make([]byte, diskBlock)
	for {
		switch n, err := io.ReadFull(f, buf); {
		case err == io.EOF:
			return m, nil
		case err != nil:
			return nil, err
		default:
			for _, x := range buf {
				if x != 0 {
					m.blocks[m.size/diskBlock] = append([]byte(nil), buf...)
					break
				}
			}
			m.size += int64(n)
		}
	}
}

func (m *diskImage) write(w diskWrite) {
	for at, data := w.at, w.data; len(data) > 0; {
		b := make([]byte, diskBlock)
		copy(b, m.blocks[at/diskBlock])
		n := copy(b[at%diskBlock:], data)
		m.blocks[at/diskBlock] = b
		at, data = at+int64(n), data[n:]
	}
}

// save writes the image into a file with holes.
func (m *diskImage) save(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for n, b := range m.blocks {
		if _, err := f.WriteAt(b, n*diskBlock); err != nil {
			return err
		}
	}
	return f.Truncate(m.size)
}

// powerCut is a moment and how much is lost of what was written and not yet kept.
type powerCut struct {
	entries int     // of the log that came before
	loss    float64 // of the blocks written since the last flush, by chance
	film    bool    // the film goes on afterwards
}

// disks yields for each cut, in their order, the disk that is found afterwards.
func disks(base *diskImage, log []diskWrite, cuts []powerCut, rng *rand.Rand, yield func(powerCut, *diskImage) bool) {
	kept := &diskImage{maps.Clone(base.blocks), base.size}
	safe := 0 // entries of the log that are in kept
	for _, c := range cuts {
		for i := c.entries - 1; i >= safe; i-- {
			if log[i].flush {
				for ; safe < i; safe++ {
					kept.write(log[safe])
				}
				break
			}
		}
		up := &diskImage{maps.Clone(kept.blocks), kept.size}
		for _, w := range log[safe:c.entries] {
			for len(w.data) > 0 {
				block := w
				block.data = w.data[:min(diskBlock-int(w.at%diskBlock), len(w.data))]
				if w.fua || rng.Float64() >= c.loss {
					up.write(block)
				}
				w.at, w.data = w.at+int64(len(block.data)), w.data[len(block.data):]
			}
		}
		if !yield(c, up) {
			return
		}
	}
}
