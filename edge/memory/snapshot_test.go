package memory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/internal/hostile"
)

func sample() *Snapshot {
	s := &Snapshot{
		Info: Info{
			Seq: 12, Frame: 345, Time: time.Unix(0, 1764000000123456789),
			Taken: clock.Time{Wall: time.Unix(0, 1764000000223456789), Trusted: true, Boot: clock.Boot{1, 2, 3, 15: 9}, Up: time.Hour},
			Ran:   100 * time.Hour, Model: [32]byte{5, 31: 6}, Magnitude: 1.5, Usual: 0.25, credit: 1 << 40,
		},
		Memories: []Memory{{State: []byte("the older one")}, {Sets: 300, State: []byte("the younger")}},
	}
	s.Bytes = s.size("yard")
	return s
}

func TestFormat(t *testing.T) {
	want := sample()
	file := bytes.Join(want.encode("yard"), nil)
	if int64(len(file)) != want.Bytes {
		t.Errorf("%d bytes, size says %d", len(file), want.Bytes)
	}
	got, err := parse(file, "yard")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v, %v", got, want, err)
	}
	if _, err := parse(file, "hall"); !errors.Is(err, ErrForeign) {
		t.Errorf("for another scene: %v", err)
	}
	for n := range file {
		if _, err := parse(file[:n], "yard"); !errors.Is(err, ErrFormat) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
	for i := range 8 * len(file) {
		b := bytes.Clone(file)
		b[i/8] ^= 1 << (i % 8)
		if _, err := parse(b, "yard"); !errors.Is(err, ErrFormat) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
}

// seal recomputes both checksums, so that a mutation gets past them.
func seal(b []byte) []byte {
	if len(b) < fixedHeader {
		return b
	}
	le := binary.LittleEndian
	end := fixedHeader + int(min(le.Uint32(b[128:]), maxScene)) + perMemory*int(min(le.Uint32(b[132:]), maxMemories))
	if len(b) < end+8 {
		return b
	}
	le.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
	le.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
	return b
}

func TestMutations(t *testing.T) {
	file := bytes.Join(sample().encode("yard"), nil)
	rng := rand.New(rand.NewPCG(1, 1))
	accepted := 0
	for range 20_000 {
		b := seal(hostile.Damage(rng, file, "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x01\x00\x00\x00"))
		accepted += kept(t, b)
	}
	if accepted < 1000 || accepted > 15_000 {
		t.Errorf("%d mutations accepted", accepted)
	}
}

// kept reads a file that may be bad; one that is taken must be written as it was.
func kept(t *testing.T, b []byte) int {
	t.Helper()
	before := bytes.Clone(b)
	s, err := parse(b, "yard")
	if err != nil {
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrForeign) {
			t.Fatal(err)
		}
		return 0
	}
	if !bytes.Equal(b, before) || !bytes.Equal(bytes.Join(s.encode("yard"), nil), b) {
		t.Fatalf("accepted, but not kept: %x", b)
	}
	return 1
}

func TestHostileSizesAllocateNothing(t *testing.T) {
	file := bytes.Join(sample().encode("yard"), nil)
	binary.LittleEndian.PutUint64(file[fixedHeader+4+8:], 1<<63)
	seal(file)
	if n := hostile.Allocated(4<<10, func() {
		if _, err := parse(file, "yard"); !errors.Is(err, ErrFormat) {
			t.Error(err)
		}
	}); n > 4<<10 {
		t.Errorf("%d bytes to refuse", n)
	}
}

func FuzzParse(f *testing.F) {
	file := bytes.Join(sample().encode("yard"), nil)
	f.Add(file, true)
	f.Add(file[:fixedHeader], false)
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if sealed {
			b = seal(bytes.Clone(b))
		}
		kept(t, b)
	})
}
