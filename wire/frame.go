package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// headSize is the length that precedes a payload.
const headSize = 4

// ErrUnknown is wrapped when a well-formed frame has a type that is not known. It
// may come from a later version and can be passed over.
var ErrUnknown = errors.New("unknown type")

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Append appends the frame of a message to dst, which is returned as it was in
// case of an error: a string that is not UTF-8, or a message beyond the limits.
func Append(dst []byte, id uint64, m Message) ([]byte, error) {
	body := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(body)
	body.Reset()
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(body)
	enc.UseCompactInts(true)
	if err := enc.Encode(m); err != nil {
		return dst, fmt.Errorf("encode %s: %w", m.Kind(), err)
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst, err := appendPayload(dst, id, m.Kind(), body.Bytes())
	if err == nil {
		_, err = Check(dst[start+headSize:])
	}
	if err != nil {
		return dst[:start], fmt.Errorf("encode %s: %w", m.Kind(), err)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-headSize))
	return dst, nil
}

// appendPayload puts the type and the id in front of the pairs of an encoded
// struct.
func appendPayload(dst []byte, id uint64, kind string, body []byte) ([]byte, error) {
	var pairs int
	switch {
	case len(body) >= 1 && body[0]&0xf0 == 0x80:
		pairs, body = int(body[0]&0x0f), body[1:]
	case len(body) >= 3 && body[0] == 0xde:
		pairs, body = int(binary.BigEndian.Uint16(body[1:])), body[3:]
	default:
		return dst, errors.New("message is not a struct")
	}
	if pairs += 2; pairs < 16 {
		dst = append(dst, 0x80|byte(pairs))
	} else {
		dst = append(dst, 0xde, byte(pairs>>8), byte(pairs))
	}
	dst = append(dst, "\xa4type"...)
	dst = append(dst, 0xa0|byte(len(kind))) // our names are short
	dst = append(dst, kind...)
	dst = append(dst, "\xa2id"...)
	if id < 0x80 {
		dst = append(dst, byte(id))
	} else {
		dst = binary.BigEndian.AppendUint64(append(dst, 0xcf), id)
	}
	return append(dst, body...), nil
}

// ParseRequest decodes a payload that a client sent. The error wraps [ErrFormat] or
// [ErrUnknown] or says which field has the wrong type; unless it is [ErrFormat],
// the header is valid.
func ParseRequest(payload []byte) (Header, Message, error) {
	return parse(payload, func(kind string) Message {
		switch kind {
		case "hello":
			return new(Hello)
		case "get_status":
			return new(GetStatus)
		case "get_scenes":
			return new(GetScenes)
		case "watch":
			return new(Watch)
		case "search":
			return new(Search)
		case "ask":
			return new(Ask)
		case "get_snapshots":
			return new(GetSnapshots)
		case "admin":
			return new(Admin)
		case "cancel":
			return new(Cancel)
		}
		return nil
	})
}

// ParseReply decodes a payload that a server sent, with errors as [ParseRequest].
func ParseReply(payload []byte) (Header, Message, error) {
	return parse(payload, func(kind string) Message {
		switch kind {
		case "welcome":
			return new(Welcome)
		case "status":
			return new(Status)
		case "scenes":
			return new(Scenes)
		case "event":
			return new(Event)
		case "piece":
			return new(Piece)
		case "answer":
			return new(Answer)
		case "end":
			return new(End)
		case "snapshots":
			return new(Snapshots)
		case "done":
			return new(Done)
		case "error":
			return new(Error)
		}
		return nil
	})
}

func parse(payload []byte, message func(kind string) Message) (Header, Message, error) {
	h, err := Check(payload)
	if err != nil {
		return h, nil, err
	}
	m := message(h.Type)
	if m == nil {
		return h, nil, fmt.Errorf("%w: %q", ErrUnknown, h.Type)
	}
	if err := msgpack.Unmarshal(payload, m); err != nil {
		return h, nil, fmt.Errorf("decode %s: %w", h.Type, err)
	}
	return h, m, nil
}
