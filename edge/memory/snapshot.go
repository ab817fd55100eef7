package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
)

// Snapshot is what a scene remembered after a frame set.
type Snapshot struct {
	Info
	Memories []Memory // the first answers
}

// Info is a snapshot without its memories.
type Info struct {
	Seq       uint64        // order of the scene's snapshots, from 1, with gaps
	Frame     uint64        // number of the frame set
	Time      time.Time     // of the frame set, as its cameras said
	Taken     clock.Time    // when it was seen
	Ran       time.Duration // how long the device has run since the first snapshot, off times left out
	Model     [32]byte      // fingerprint of the model
	Magnitude float32       // largest absolute value, see Moment
	Usual     float32       // see Moment
	Bytes     int64         // of the file
	Disk      bool          // there is a file; of [Store.List] only

	credit int64 // bytes that could still be written after it
}

// Memory is one memory of a scene: the bytes of a stream, which check
// themselves further when they are restored.
type Memory struct {
	Sets  uint64 // frame sets that it holds
	State []byte
}

// The file, all numbers little endian:
//
//	  0  [8]byte   "edgedsnp"
//	  8  uint32    version, 1
//	 12  uint32    flags: 1 = the clock was synchronised
//	 16  uint64    number of the snapshot
//	 24  uint64    number of the frame set
//	 32  int64     time of the frame set, Unix ns
//	 40  int64     wall time when it was seen, Unix ns
//	 48  [16]byte  boot id
//	 64  int64     time since boot, ns
//	 72  int64     time run since the first snapshot, ns
//	 80  int64     bytes that may still be written, of the daily budget
//	 88  [32]byte  fingerprint of the model
//	120  float32   magnitude of the memory
//	124  float32   its usual magnitude
//	128  uint32    s, bytes of the scene's name, at most 255
//	132  uint32    m, memories, 1 or 2
//	136  [s]byte   the scene's name
//	then m times: uint64 frame sets that it holds, uint64 its bytes
//	uint32         CRC-32C of everything before
//	the memories, one after another
//	uint32         CRC-32C of everything before
const (
	magic       = "edgedsnp"
	version     = 1
	fixedHeader = 136
	perMemory   = 16
	maxScene    = 255
	maxMemories = 2
	maxHeader   = fixedHeader + maxScene + maxMemories*perMemory + 4
	flagTrusted = 1

	// Sums of two numbers up to these do not overflow.
	maxSeq  = 1 << 62
	maxTime = 1 << 62
)

// ErrFormat is wrapped by errors about bytes that are no snapshot, or a damaged
// one.
var ErrFormat = errors.New("bad snapshot")

// ErrForeign is wrapped by the error about a snapshot of another scene.
var ErrForeign = errors.New("snapshot of another scene")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header returns what comes before the memories.
func (s *Snapshot) header(scene string) []byte {
	b := make([]byte, 0, maxHeader)
	b = append(b, magic...)
	le := binary.LittleEndian
	b = le.AppendUint32(b, version)
	var flags uint32
	if s.Taken.Trusted {
		flags |= flagTrusted
	}
	b = le.AppendUint32(b, flags)
	b = le.AppendUint64(b, s.Seq)
	b = le.AppendUint64(b, s.Frame)
	b = le.AppendUint64(b, uint64(s.Time.UnixNano()))
	b = le.AppendUint64(b, uint64(s.Taken.Wall.UnixNano()))
	b = append(b, s.Taken.Boot[:]...)
	b = le.AppendUint64(b, uint64(s.Taken.Up))
	b = le.AppendUint64(b, uint64(s.Ran))
	b = le.AppendUint64(b, uint64(s.credit))
	b = append(b, s.Model[:]...)
	b = le.AppendUint32(b, math.Float32bits(s.Magnitude))
	b = le.AppendUint32(b, math.Float32bits(s.Usual))
	b = le.AppendUint32(b, uint32(len(scene)))
	b = le.AppendUint32(b, uint32(len(s.Memories)))
	b = append(b, scene...)
	for _, m := range s.Memories {
		b = le.AppendUint64(b, m.Sets)
		b = le.AppendUint64(b, uint64(len(m.State)))
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// encode returns the parts of the file.
func (s *Snapshot) encode(scene string) [][]byte {
	parts := [][]byte{s.header(scene)}
	for _, m := range s.Memories {
		parts = append(parts, m.State)
	}
	sum := uint32(0)
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return append(parts, binary.LittleEndian.AppendUint32(nil, sum))
}

// size returns the bytes of the file.
func (s *Snapshot) size(scene string) int64 {
	n := int64(fixedHeader + len(scene) + perMemory*len(s.Memories) + 8)
	for _, m := range s.Memories {
		n += int64(len(m.State))
	}
	return n
}

// layout is where in a file the memories are.
type layout struct {
	Info
	scene    string
	memories []Memory // without State
	sizes    []int64
	body     int64 // offset of the first
}

// parseHeader reads the beginning of a file of so many bytes, as much of it as
// there is up to maxHeader.
func parseHeader(b []byte, size int64) (*layout, error) {
	bad := func(format string, args ...any) (*layout, error) {
		return nil, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrFormat)
	}
	if len(b) < fixedHeader {
		return bad("%d bytes", len(b))
	}
	if string(b[:8]) != magic {
		return bad("does not begin with %q", magic)
	}
	le := binary.LittleEndian
	if v := le.Uint32(b[8:]); v != version {
		return bad("version %d, this program reads %d", v, version)
	}
	s, m := le.Uint32(b[128:]), le.Uint32(b[132:])
	if s > maxScene || m < 1 || m > maxMemories {
		return bad("name of %d bytes, %d memories", s, m)
	}
	end := fixedHeader + int(s) + int(m)*perMemory
	if len(b) < end+4 {
		return bad("ends in its header")
	}
	if crc32.Checksum(b[:end], castagnoli) != le.Uint32(b[end:]) {
		return bad("checksum of the header does not match")
	}
	flags := le.Uint32(b[12:])
	if flags&^flagTrusted != 0 {
		return bad("flags %#x", flags)
	}
	l := &layout{
		Info: Info{
			Seq: le.Uint64(b[16:]), Frame: le.Uint64(b[24:]), Time: time.Unix(0, int64(le.Uint64(b[32:]))),
			Taken: clock.Time{
				Wall: time.Unix(0, int64(le.Uint64(b[40:]))), Trusted: flags&flagTrusted != 0,
				Boot: clock.Boot(b[48:64]), Up: time.Duration(le.Uint64(b[64:])),
			},
			Ran: time.Duration(le.Uint64(b[72:])), credit: int64(le.Uint64(b[80:])), Model: [32]byte(b[88:120]),
			Magnitude: math.Float32frombits(le.Uint32(b[120:])), Usual: math.Float32frombits(le.Uint32(b[124:])),
			Bytes: size,
		},
		scene: string(b[fixedHeader:][:s]), body: int64(end + 4),
	}
	rest := size - l.body - 4
	for at := fixedHeader + int(s); at < end; at += perMemory {
		n := le.Uint64(b[at+8:])
		if rest < 0 || n > uint64(rest) {
			return bad("a memory of %d bytes in a file of %d", n, size)
		}
		rest -= int64(n)
		l.memories = append(l.memories, Memory{Sets: le.Uint64(b[at:])})
		l.sizes = append(l.sizes, int64(n))
	}
	if rest != 0 {
		return bad("%d bytes more or less than its memories take", rest)
	}
	if l.Seq == 0 || l.Seq > maxSeq || l.Ran < 0 || l.Ran > maxTime || l.Taken.Up < 0 || l.Taken.Up > maxTime || l.credit < 0 {
		return bad("snapshot %d, %v after the first, %v after the start", l.Seq, l.Ran, l.Taken.Up)
	}
	return l, nil
}

// parse reads a whole file of the given scene; the memories share its bytes.
func parse(b []byte, scene string) (*Snapshot, error) {
	l, err := parseHeader(b[:min(len(b), maxHeader)], int64(len(b)))
	if err != nil {
		return nil, err
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, fmt.Errorf("checksum does not match: %w", ErrFormat)
	}
	if l.scene != scene {
		return nil, fmt.Errorf("of scene %q: %w", l.scene, ErrForeign)
	}
	s := &Snapshot{Info: l.Info, Memories: l.memories}
	at := l.body
	for i, n := range l.sizes {
		s.Memories[i].State = b[at : at+n : at+n]
		at += n
	}
	return s, nil
}
