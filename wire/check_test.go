package wire

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
)

// head is the beginning of a valid payload of one more pair than these two.
const head = "\x83\xa4type\xa3ask\xa2id\x05"

// bombs are codes that claim much.
var bombs = []string{"\xc6\x7f\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\xdd\x00\xff\xff\xff", "\xdf\x80\x00\x00\x00", "\x91\x91", "\x81\xa0", "\xcf"}

// full is a payload of as many values as there may be, and so many more.
func full(more int) string {
	// Six of the outermost map, 1,023 arrays, and three in each but the last.
	last := MaxElements - 6 - 1023 - 3*1022 + more
	return head + "\xa1x\xdc\x03\xff" + strings.Repeat("\x93\xc0\xc0\xc0", 1022) + string([]byte{byte(0x90 + last)}) + strings.Repeat("\xc0", last)
}

// payloads are hostile, each with what its error says.
var payloads = []struct{ name, payload, want string }{
	{"empty", "", "byte 0: cut short"},
	{"array bomb", "\xdd\xff\xff\xff\xff", "not a map"},
	{"map bomb", "\xdf\xff\xff\xff\xff", "byte 0: 8589934590 values in 0 bytes"},
	{"map bomb 2", "\xdf\x80\x00\x00\x00", "4294967296 values in 0 bytes"},
	{"string bomb", head + "\xdb\xff\xff\xff\xff", "byte 14: 4294967295 bytes claimed, 0 left"},
	{"bytes bomb", head + "\xa1x\xc6\x7f\xff\xff\xff", "code 0xc6 is not used here"},
	{"array bomb inside", head + "\xa1x\xdd\x7f\xff\xff\xff", "2147483647 values in 0 bytes"},
	{"map bomb inside", head + "\xa1x\xdf\x7f\xff\xff\xff", "4294967294 values in 0 bytes"},
	{"extension", head + "\xa1x\xc9\xff\xff\xff\xff\x01", "code 0xc9 is not used here"},
	{"fixed extension", head + "\xa1x\xd6\xff\x00\x00\x00\x00", "code 0xd6 is not used here"},
	{"unused code", head + "\xa1x\xc1", "code 0xc1 is not used here"},
	{"number", "\x05", "not a map"},
	{"number key", "\x81\x05\x05", "key is not a string"},
	{"number key inside", head + "\xa1x\x81\x05\x05", "key is not a string"},
	{"not UTF-8", head + "\xa1x\xa1\xff", "string is not UTF-8"},
	{"key not UTF-8", head + "\xa1\xff\xa1x", "string is not UTF-8"},
	{"trailing", "\x82\xa4type\xa3ask\xa2id\x05\xc0", "byte 14: 1 bytes after the end"},
	{"no type", "\x81\xa2id\x05", "no type"},
	{"no id", "\x81\xa4type\xa3ask", `"ask" without an id`},
	{"empty type", "\x82\xa4type\xa0\xa2id\x05", "type is not a name"},
	{"number type", "\x82\xa4type\x05\xa2id\x05", "type is not a name"},
	{"long type", "\x82\xa4type\xd9\x41" + strings.Repeat("x", 65) + "\xa2id\x05", "type longer than 64 bytes"},
	{"negative id", "\x82\xa4type\xa3ask\xa2id\xff", "id is not a non-negative integer"},
	{"float id", "\x82\xa4type\xa3ask\xa2id\xca\x3f\x80\x00\x00", "id is not a non-negative integer"},
	{"second type", "\x83\xa4type\xa3ask\xa4type\xa3ask\xa2id\x05", "second type"},
	{"second id", "\x83\xa4type\xa3ask\xa2id\x05\xa2id\x05", "second id"},
	{"cut number", head + "\xa1x\xcf\x00\x00", "8 bytes claimed, 2 left"},
	{"cut map", head, "cut short"},
	{"nested arrays", head + "\xa1x" + strings.Repeat("\x91", 1<<19) + "\xc0", "nested deeper than 16"},
	{"nested maps", head + "\xa1x" + strings.Repeat("\x81\xa0", 1<<18) + "\xc0", "nested deeper than 16"},
	{"many values", head + "\xa1x\xdd\x00\x0f\x00\x00" + strings.Repeat("\x80", 0xf0000), "more than 4096 values"},
	{"many small arrays", head + "\xa1x\xdc\x03\xff" + strings.Repeat("\x9f"+strings.Repeat("\xc0", 15), 1023), "more than 4096 values"},
	{"large array", head + "\xa1x\xdc\x04\x01" + strings.Repeat("\xc0", 1025), "an array or map of 1025, more than 1024"},
	{"a value too many", full(1), "more than 4096 values"},
	{"a value too few", head + "\xa1x\x92\xc0", "2 values in 1 bytes"},
	{"id inside", "\x82\xa4type\xa3ask\xa1x\x81\xa2id\x05", `"ask" without an id`},
	{"large", strings.Repeat("\x00", MaxFrame+1), "more than 1048576"},
}

func TestHostile(t *testing.T) {
	for _, c := range payloads {
		p := []byte(c.payload)
		var err error
		grew := hostile.Allocated(4096, func() { _, err = Check(p) })
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if grew > 4096 {
			t.Errorf("%s: %d bytes allocated", c.name, grew)
		}
		if _, _, err := ParseReply(p); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: reply: %v", c.name, err)
		}
	}
}

func TestCheckLimits(t *testing.T) {
	deep := head + "\xa1x" + strings.Repeat("\x91", MaxDepth-2) + "\x90"
	if _, err := Check([]byte(deep)); err != nil {
		t.Errorf("depth %d: %v", MaxDepth, err)
	}
	if _, err := Check([]byte(full(0))); err != nil {
		t.Errorf("%d values: %v", MaxElements, err)
	}
	codes := head + "\xa1x\xdc\x00\x14" + "\x00\x7f\xe0\xff\xc0\xc2\xc3\xca1234\xcb12345678\xcc1\xcd12\xce1234\xcf12345678" +
		"\xd01\xd112\xd21234\xd312345678\xd9\x01a\xda\x00\x01a\xdb\x00\x00\x00\x01a"
	inside := head + "\xa1x\x82\xa4type\x05\xa2id\xa1y"
	if h, err := Check([]byte(inside)); err != nil || h != (Header{"ask", 5}) {
		t.Errorf("a type and an id inside: %v, %v", h, err)
	}
	if h, err := Check([]byte(codes)); err != nil || h != (Header{"ask", 5}) {
		t.Errorf("every code: %v, %v", h, err)
	}
}

// costliest are replies that make the decoder allocate the most for their size:
// empty maps that become structs.
func costliest() [][]byte {
	list := func(n int) string {
		return "\xdc" + string(binary.BigEndian.AppendUint16(nil, uint16(n))) + strings.Repeat("\x80", n)
	}
	var nested strings.Builder
	nested.WriteString("\x83\xa4type\xa6status\xa2id\x05\xa6scenes\xdc\x00\x20")
	for range 32 {
		nested.WriteString("\x81\xa5views" + list(120))
	}
	return [][]byte{
		[]byte("\x83\xa4type\xa6status\xa2id\x05\xa6scenes" + list(MaxMembers)),
		[]byte("\x83\xa4type\xa6scenes\xa2id\x05\xa6scenes" + list(MaxMembers)),
		[]byte("\x83\xa4type\xa7welcome\xa2id\x05\xa6scenes" + strings.ReplaceAll(list(MaxMembers), "\x80", "\xa0")),
		[]byte(nested.String()),
	}
}

func TestAllocation(t *testing.T) {
	for _, p := range costliest() {
		var err error
		budget := hostile.Budget(len(p))
		grew := hostile.Allocated(budget, func() { _, _, err = ParseReply(p) })
		if err != nil {
			t.Error(err)
		}
		if grew > budget {
			t.Errorf("%d bytes allocated for %d", grew, len(p))
		}
	}
}

// TestMutations damages valid frames of every kind: each is decoded or refused
// with a clear error, for memory of at most 4 times the input and 1 MiB.
func TestMutations(t *testing.T) {
	requests, replies := samples()
	var frames [][]byte
	for _, m := range append(requests, replies...) {
		f, err := Append(nil, 5, m)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f[4:])
	}
	frames = append(frames, costliest()...)
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	const rounds = 2000
	for range rounds {
		bad := hostile.Damage(rng, frames[rng.IntN(len(frames))], bombs...)
		for _, parse := range []func([]byte) (Header, Message, error){ParseRequest, ParseReply} {
			var err error
			budget := hostile.Budget(len(bad))
			if grew := hostile.Allocated(budget, func() { _, _, err = parse(bad) }); grew > budget {
				t.Fatalf("%d bytes allocated for %d: %.200q", grew, len(bad), bad)
			}
			if err != nil {
				refused++
				if err.Error() == "" || len(err.Error()) > 300 {
					t.Fatalf("unclear error %q", err)
				}
			}
		}
	}
	t.Logf("%d of %d refused", refused, 2*rounds)
}

func FuzzParse(f *testing.F) {
	requests, replies := samples()
	for _, m := range append(requests, replies...) {
		p, err := Append(nil, 5, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p[4:])
	}
	for _, c := range payloads {
		if len(c.payload) < 200 {
			f.Add([]byte(c.payload))
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		h, err := Check(payload)
		for _, parse := range []func([]byte) (Header, Message, error){ParseRequest, ParseReply} {
			got, m, e := parse(payload)
			if errors.Is(e, ErrFormat) != (err != nil) || got != h {
				t.Fatalf("%v, %v but checked %v, %v", got, e, h, err)
			}
			if e != nil {
				continue
			}
			// What was accepted can be sent on, and says the same.
			frame, e := Append(nil, h.ID, m)
			if e != nil {
				t.Fatalf("%+v: %v", m, e)
			}
			if again, _, e := parse(frame[4:]); e != nil || again != h {
				t.Fatalf("%v, %v, want %v", again, e, h)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	_, replies := samples()
	p, err := Append(nil, 5, replies[1])
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(p) - 4))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check(p[4:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSendEvent(b *testing.B) {
	_, replies := samples()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = Append(dst[:0], 5, replies[3]); err != nil {
			b.Fatal(err)
		}
	}
}
