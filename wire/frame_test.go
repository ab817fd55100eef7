package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	requests, replies := samples()
	check := func(m Message, parse func([]byte) (Header, Message, error)) {
		for _, id := range []uint64{0, 127, 128, 1<<64 - 1} {
			frame, err := Append([]byte("before"), id, m)
			if err != nil {
				t.Fatal(err)
			}
			frame = frame[len("before"):]
			if n := binary.BigEndian.Uint32(frame); int(n) != len(frame)-4 {
				t.Fatalf("%s: length %d of %d", m.Kind(), n, len(frame)-4)
			}
			h, got, err := parse(frame[4:])
			if err != nil || h != (Header{m.Kind(), id}) || !reflect.DeepEqual(got, m) {
				t.Errorf("%+v became %v %+v, %v", m, h, got, err)
			}
		}
	}
	for _, m := range requests {
		check(m, ParseRequest)
	}
	for _, m := range replies {
		check(m, ParseReply)
	}
}

// TestManyFields: more than 15 pairs take another head.
func TestManyFields(t *testing.T) {
	var pairs []byte
	for i := range 14 {
		pairs = append(pairs, 0xa1, byte('a'+i), 1)
	}
	for _, body := range [][]byte{append([]byte{0x8e}, pairs...), append([]byte{0xde, 0, 14}, pairs...)} {
		p, err := appendPayload(nil, 7, "x", body)
		if err != nil || p[0] != 0xde || p[2] != 16 {
			t.Fatalf("% x, %v", p, err)
		}
		if h, err := Check(p); err != nil || h != (Header{"x", 7}) {
			t.Fatalf("%v, %v", h, err)
		}
	}
	if _, err := appendPayload(nil, 7, "x", []byte{0xc0}); err == nil {
		t.Error("nil passes for a struct")
	}
}

func TestAppendErrors(t *testing.T) {
	many := &Welcome{Scenes: make([]string, MaxElements)}
	for _, m := range []Message{&Piece{Text: "\xff"}, &Piece{Text: strings.Repeat("x", MaxFrame)}, many, (*Status)(nil)} {
		dst, err := Append([]byte("before"), 1, m)
		if err == nil || string(dst) != "before" || !strings.Contains(err.Error(), "encode "+m.Kind()) {
			t.Errorf("%s: %q, %v", m.Kind(), dst, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		payload string
		want    error
		text    string
	}{
		{"\x82\xa4type\xa5where\xa2id\x05", ErrUnknown, `unknown type: "where"`},
		{"\x83\xa4type\xa3ask\xa2id\x05\xa8question\x01", nil, "decode ask: "},
		{"\x83\xa4type\xa3ask\xa2id\x05\xa8question\x81\xa1a\xa1b", nil, "decode ask: "},
	} {
		h, m, err := ParseRequest([]byte(c.payload))
		if m != nil || h.ID != 5 || err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: %v, %v, %v", c.payload, h, m, err)
		}
		if errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v ends the connection", c.payload, err)
		}
	}
	// Keys that are not known, with anything in them, are passed over.
	p := "\x85\xa4type\xa3ask\xa4more\x92\x81\xa1k\xd9\x02ab\xcb12345678\xa2id\x05\xa8question\xa1q\xa1x\xc0"
	if _, m, err := ParseRequest([]byte(p)); err != nil || m.(*Ask).Question != "q" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestErrors(t *testing.T) {
	err := fmt.Errorf("scene: %w", Errorf(CodeScene, "no scene %q", "x"))
	if Code(err) != CodeScene || err.Error() != `scene: no scene "x" (no_scene)` {
		t.Errorf("%s: %v", Code(err), err)
	}
	if Code(errors.New("x")) != CodeInternal {
		t.Error(Code(errors.New("x")))
	}
}
