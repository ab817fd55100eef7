package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
)

// Record is one thing that happened.
type Record struct {
	Seq   uint64     // from 1; given by Append, 0 if it could not be known
	Time  clock.Time // milliseconds of its parts are kept
	Kind  string     // at most 255 bytes
	Scene string     // at most 255 bytes
	Text  string     // for people; searched by Query.Match
	Data  []byte     // the owner's
}

// maxText and maxData bound a record, so that a batch is bounded too. What is
// longer is cut.
const (
	maxName = 255
	maxText = 32 << 10
	maxData = 32 << 10
)

// clip cuts what is too long for a record, strings between characters.
func (r *Record) clip() {
	r.Kind = cut(r.Kind, maxName)
	r.Scene = cut(r.Scene, maxName)
	r.Text = cut(r.Text, maxText)
	r.Data = r.Data[:min(len(r.Data), maxData)]
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// Layout of a record, little-endian: the CRC-32C of key and what follows it, the
// version, flags, wall time and time since boot in milliseconds, kind, scene and text,
// each after its length, and data to the end.
const (
	recordVersion = 1
	flagTrusted   = 1
	recordHead    = 4 + 1 + 1 + 8 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errRecord = errors.New("record is damaged")

func key(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// encode returns the value of a record; its key and its boot are not part of it.
func encode(r *Record) []byte {
	b := make([]byte, 4, recordHead+1+len(r.Kind)+1+len(r.Scene)+2+len(r.Text)+len(r.Data))
	flags := byte(0)
	if r.Time.Trusted {
		flags = flagTrusted
	}
	b = append(b, recordVersion, flags)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Time.Wall.UnixMilli()))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Time.Up.Milliseconds()))
	b = append(append(b, byte(len(r.Kind))), r.Kind...)
	b = append(append(b, byte(len(r.Scene))), r.Scene...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(r.Text)))
	b = append(append(b, r.Text...), r.Data...)
	binary.LittleEndian.PutUint32(b, checksum(r.Seq, b))
	return b
}

// checksum of a value that has room for it in front.
func checksum(seq uint64, value []byte) uint32 {
	var k [8]byte
	binary.BigEndian.PutUint64(k[:], seq)
	return crc32.Update(crc32.Checksum(k[:], castagnoli), castagnoli, value[4:])
}

// view is a record where it lies in the file.
type view struct {
	seq               uint64
	trusted           bool
	wall, up          int64 // milliseconds
	kind, scene, text []byte
	data              []byte
}

// decode checks a key and its value.
func decode(k, value []byte) (v view, err error) {
	if v, err = parse(k, value); err == nil && !intact(v.seq, value) {
		err = errRecord
	}
	return v, err
}

// intact reports whether the value of a record, which is no shorter than its head, is what was written.
func intact(seq uint64, value []byte) bool {
	return binary.LittleEndian.Uint32(value) == checksum(seq, value)
}

// parse finds the parts of a record. Whether they are what was written is for intact to say, which
// takes longer: a search asks it about what it is looking for only.
func parse(k, value []byte) (v view, err error) {
	if len(k) != 8 || len(value) < recordHead || value[4] != recordVersion {
		return v, errRecord
	}
	v.seq = binary.BigEndian.Uint64(k)
	v.trusted = value[5]&flagTrusted != 0
	v.wall = int64(binary.LittleEndian.Uint64(value[6:]))
	v.up = int64(binary.LittleEndian.Uint64(value[14:]))
	var rest []byte
	var ok bool
	if v.kind, rest, ok = counted(value[recordHead:], 1); !ok {
		return v, errRecord
	}
	if v.scene, rest, ok = counted(rest, 1); !ok {
		return v, errRecord
	}
	if v.text, rest, ok = counted(rest, 2); !ok {
		return v, errRecord
	}
	v.data = rest
	return v, nil
}

// counted takes off b what follows its length, which has one or two bytes.
func counted(b []byte, size int) (part, rest []byte, ok bool) {
	if len(b) < size {
		return nil, nil, false
	}
	n := int(b[0])
	if size == 2 {
		n |= int(b[1]) << 8
	}
	if b = b[size:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func (v *view) record(boot clock.Boot) *Record {
	return &Record{
		Seq: v.seq,
		Time: clock.Time{
			Wall: time.UnixMilli(v.wall), Trusted: v.trusted, Boot: boot, Up: time.Duration(v.up) * time.Millisecond,
		},
		Kind: string(v.kind), Scene: string(v.scene), Text: string(v.text), Data: append([]byte(nil), v.data...),
	}
}
