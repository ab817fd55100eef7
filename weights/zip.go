package weights

import (
	"bytes"
	"encoding/binary"
	"math"
)

// The parts of a zip archive that torch.save writes (PKWARE APPNOTE 6.3.10,
// section 4.3). All entries are stored, so each is a range of the file.
const (
	sigLocal   = "PK\x03\x04"
	sigCentral = "PK\x01\x02"
	sigEnd     = "PK\x05\x06"
	sigLoc64   = "PK\x06\x07"
	sigEnd64   = "PK\x06\x06"

	lenLocal   = 30
	lenCentral = 46
	lenEnd     = 22
	lenLoc64   = 20
	lenEnd64   = 56

	extraZip64 = 1
	flagCrypt  = 1
)

// maxEntries bounds the archive: a storage for each tensor, and a few more.
const maxEntries = maxTensors + 256

func isZip(data []byte) bool { return bytes.HasPrefix(data, []byte(sigLocal)) }

// entry is the range of the file that an archive member's bytes take.
type entry struct {
	off  int
	data []byte
}

// zipReader reads the central directory of an archive in memory.
type zipReader struct {
	file string
	data []byte
	// entries by name
	entries map[string]entry
}

// readZip lists an archive. Names must be unique, members stored and unencrypted,
// and the local header in front of each must agree with the directory.
func readZip(file string, data []byte) (map[string]entry, error) {
	z := &zipReader{file: file, data: data}
	n, size, off, err := z.end()
	if err != nil {
		return nil, err
	}
	if n > maxEntries {
		return nil, badFile(file, off, "%d zip entries, more than %d", n, maxEntries)
	}
	if n > size/lenCentral {
		return nil, badFile(file, off, "%d zip entries in a directory of %d bytes", n, size)
	}
	z.entries = make(map[string]entry, n)
	for end := off + size; n > 0; n-- {
		if off, err = z.member(off, end); err != nil {
			return nil, err
		}
	}
	return z.entries, nil
}

// end finds the end record and returns number, size and offset of the
// directory's entries, which lie inside the file.
func (z *zipReader) end() (n, size, off int64, err error) {
	at := bytes.LastIndex(z.data[max(0, len(z.data)-lenEnd-math.MaxUint16):], []byte(sigEnd))
	if at >= 0 {
		at += max(0, len(z.data)-lenEnd-math.MaxUint16)
	}
	if at < 0 || len(z.data)-at < lenEnd {
		return 0, 0, 0, badFile(z.file, int64(len(z.data)), "zip archive without an end record; is the file complete?")
	}
	le := binary.LittleEndian
	rec := z.data[at:]
	entries, length, start := uint64(le.Uint16(rec[10:])), uint64(le.Uint32(rec[12:])), uint64(le.Uint32(rec[16:]))
	if at >= lenLoc64 && string(z.data[at-lenLoc64:][:4]) == sigLoc64 {
		at64 := le.Uint64(z.data[at-lenLoc64+8:])
		if at < lenEnd64 || at64 > uint64(at-lenEnd64) || string(z.data[at64:][:4]) != sigEnd64 {
			return 0, 0, 0, badFile(z.file, int64(at-lenLoc64), "zip64 end record at byte %d is not there", at64)
		}
		rec = z.data[at64:]
		entries, length, start = le.Uint64(rec[32:]), le.Uint64(rec[40:]), le.Uint64(rec[48:])
		at = int(at64)
	}
	if start > uint64(at) || length > uint64(at)-start {
		return 0, 0, 0, badFile(z.file, int64(at), "zip directory of %d bytes at byte %d lies outside the file", length, start)
	}
	return int64(min(entries, math.MaxInt64)), int64(length), int64(start), nil
}

// member reads the directory entry at off and returns the offset behind it.
func (z *zipReader) member(off, end int64) (int64, error) {
	le := binary.LittleEndian
	if end-off < lenCentral || string(z.data[off:][:4]) != sigCentral {
		return 0, badFile(z.file, off, "no zip directory entry")
	}
	h := z.data[off:end]
	nameLen, extraLen, commentLen := int64(le.Uint16(h[28:])), int64(le.Uint16(h[30:])), int64(le.Uint16(h[32:]))
	next := lenCentral + nameLen + extraLen + commentLen
	if next > int64(len(h)) {
		return 0, badFile(z.file, off, "zip directory entry is cut off")
	}
	name := string(h[lenCentral : lenCentral+nameLen])
	it := item{"zip entry", name}
	extra := h[lenCentral+nameLen : lenCentral+nameLen+extraLen]
	packed, size, local, ok := sizes64(h, extra)
	switch {
	case checkName(name) != "":
		return 0, badFile(z.file, off, "zip entry %s: %s", quote(name), checkName(name))
	case le.Uint16(h[8:])&flagCrypt != 0:
		return 0, badItem(z.file, it, off, "is encrypted")
	case le.Uint16(h[10:]) != 0:
		return 0, badItem(z.file, it, off, "is compressed (method %d), and only stored entries can be mapped", le.Uint16(h[10:]))
	case !ok:
		return 0, badItem(z.file, it, off, "lacks its zip64 sizes")
	case packed != size:
		return 0, badItem(z.file, it, off, "is stored in %d bytes but %d bytes long", packed, size)
	}
	if _, dup := z.entries[name]; dup {
		return 0, badItem(z.file, it, off, "is there twice")
	}
	e, err := z.locate(name, it, local, size)
	if err != nil {
		return 0, err
	}
	z.entries[name] = e
	return off + next, nil
}

// locate follows a directory entry to its local header and data.
func (z *zipReader) locate(name string, it item, local, size uint64) (entry, error) {
	total := uint64(len(z.data))
	if total < lenLocal || local > total-lenLocal || string(z.data[local:][:4]) != sigLocal {
		return entry{}, badItem(z.file, it, int64(min(local, math.MaxInt64)), "no local header")
	}
	h := z.data[local:]
	nameLen := uint64(binary.LittleEndian.Uint16(h[26:]))
	extraLen := uint64(binary.LittleEndian.Uint16(h[28:]))
	start := local + lenLocal + nameLen + extraLen
	if start > total || string(h[lenLocal:lenLocal+nameLen]) != name {
		return entry{}, badItem(z.file, it, int64(local), "local header has another name")
	}
	if size > total-start {
		return entry{}, badItem(z.file, it, int64(start), "%d bytes where the file has %d", size, total-start)
	}
	return entry{int(start), z.data[start : start+size : start+size]}, nil
}

// sizes64 returns the sizes and the header offset of a directory entry. Fields
// of all ones are in the zip64 extra field instead, in this order.
func sizes64(h, extra []byte) (packed, size, local uint64, ok bool) {
	le := binary.LittleEndian
	packed, size, local = uint64(le.Uint32(h[20:])), uint64(le.Uint32(h[24:])), uint64(le.Uint32(h[42:]))
	var wide []byte
	for len(extra) >= 4 {
		n := int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return 0, 0, 0, false
		}
		if le.Uint16(extra) == extraZip64 {
			wide = extra[4 : 4+n]
			break
		}
		extra = extra[4+n:]
	}
	for _, v := range []*uint64{&size, &packed, &local} {
		if *v != math.MaxUint32 {
			continue
		}
		if len(wide) < 8 {
			return 0, 0, 0, false
		}
		*v, wide = le.Uint64(wide), wide[8:]
	}
	return packed, size, local, true
}
