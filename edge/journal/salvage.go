package journal

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
)

// place is where a record lies in a file.
type place struct {
	seq  uint64
	at   int64 // of its key, which its value follows
	size uint32
}

// maxSalvage bounds what salvage notes: 24 bytes each. A file of the most that a log may
// be holds more records only if they say next to nothing.
const maxSalvage = 1 << 23

// salvage yields the records that f lets through of a file that is damaged.
func (r *Reader) salvage(ctx context.Context, f *filter, yield func(*Record, error) bool) {
	file, err := os.Open(r.path)
	if err != nil {
		yield(nil, err)
		return
	}
	defer file.Close()
	places, err := findRecords(ctx, file)
	if err != nil {
		yield(nil, fmt.Errorf("%s: %w", r.path, err))
		return
	}
	f.anyBoot = true
	var b []byte
	for _, p := range places {
		b = slices.Grow(b[:0], 8+int(p.size))[:8+int(p.size)]
		if _, err := file.ReadAt(b, p.at); err != nil {
			continue // the disk lost it since
		}
		v, err := decode(b[:8], b[8:])
		if err != nil || v.seq < f.From || f.To > 0 && v.seq > f.To || !f.fitsView(&v) {
			continue
		}
		if !yield(v.record([16]byte{}), nil) {
			return
		}
	}
	if err := ctx.Err(); err != nil {
		yield(nil, err)
	}
}

// findRecords looks for records in every page that could hold some, and returns their
// places in the order of their numbers. What cannot be read is left out.
func findRecords(ctx context.Context, file *os.File) (places []place, err error) {
	err = leaves(ctx, file, func(at int64, p []byte) (more bool) {
		places = recordsOf(at, p, places)
		return len(places) < maxSalvage
	})
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.seq, b.seq) })
	return slices.CompactFunc(places, func(a, b place) bool { return a.seq == b.seq }), err
}

// leaves calls f with every page that could hold records, which begins at an offset, as long as
// f wants more.
func leaves(ctx context.Context, file *os.File, f func(at int64, p []byte) (more bool)) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	var buf []byte
	for id := int64(0); (id+1)*pageSize <= info.Size(); id++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var head [pageHead]byte
		if _, err := file.ReadAt(head[:], id*pageSize); err != nil {
			continue
		}
		more := int64(binary.LittleEndian.Uint32(head[12:]))
		if binary.LittleEndian.Uint64(head[:]) != uint64(id) || binary.LittleEndian.Uint16(head[8:]) != leafPage || more > 32 {
			continue
		}
		n := int(more+1) * pageSize
		buf = slices.Grow(buf[:0], n)[:n]
		k, err := file.ReadAt(buf, id*pageSize)
		if err != nil && err != io.EOF {
			continue
		}
		if !f(id*pageSize, buf[:k]) {
			return nil
		}
	}
	return nil
}

// recordsOf appends the places of the records that are whole in a page which lies at base,
// and in small buckets within it.
func recordsOf(base int64, p []byte, places []place) []place {
	elements(base, p, true, func(at int64, k, value []byte) {
		if v, err := decode(k, value); err == nil {
			places = append(places, place{v.seq, at, uint32(len(value))})
		}
	})
	return places
}

// elements calls f with the keys and values of a page which lies at base, and of small
// buckets within it, as far as they can be read. at is the place of a key, which its value
// follows.
func elements(base int64, p []byte, within bool, f func(at int64, k, value []byte)) {
	if len(p) < pageHead {
		return
	}
	count := int(binary.LittleEndian.Uint16(p[10:]))
	for i := range min(count, (len(p)-pageHead)/elementSize) {
		at := pageHead + i*elementSize
		flags, pos, ksize := word(p, at), word(p, at+4), word(p, at+8)
		k, err := part(0, p, at, pos, 0, ksize)
		if err != nil {
			continue
		}
		value, err := part(0, p, at, pos, ksize, word(p, at+12))
		if err != nil {
			continue
		}
		here := base + int64(at) + int64(pos)
		if flags == bucketFlag && within && len(value) > bucketHead {
			elements(here+int64(ksize)+bucketHead, value[bucketHead:], false, f)
			continue
		}
		f(here, k, value)
	}
}
