package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limits of a payload. They hold in both directions, but that requests are small: the
// largest that means something, a question, has some kilobytes. So what a client can make a
// server read before it is refused is little.
const (
	MaxFrame    = 1 << 20 // bytes
	MaxRequest  = 1 << 16 // bytes of a payload that a client sends
	MaxQuestion = 4096    // bytes of a question, where a server says nothing else
	MaxDepth    = 16      // maps and arrays inside each other
	MaxElements = 4096    // values and keys together
	MaxMembers  = 1024    // of one array or map: each may become a struct of many fields
)

// ErrFormat is wrapped by every error about bytes that are no frame of this
// protocol. A connection on which it occurs cannot go on.
var ErrFormat = errors.New("bad frame")

// Header is what every frame carries.
type Header struct {
	Type string
	ID   uint64 // 0: the frame is about the connection
}

// Check walks a payload, which must be one msgpack map with string keys at every
// level, valid UTF-8 in strings, no byte strings (the decoder would take them for
// text) and no extension types, no more claimed than is there, and within the
// limits above; and returns its header. It neither recurses
// nor allocates more than the type's name. What it accepts is safe to decode into
// the structs of this package.
func Check(payload []byte) (Header, error) {
	if len(payload) > MaxFrame {
		return Header{}, fmt.Errorf("%w: %d bytes, more than %d", ErrFormat, len(payload), MaxFrame)
	}
	c := checker{p: payload}
	if err := c.run(); err != nil {
		return Header{}, fmt.Errorf("%w: byte %d: %w", ErrFormat, c.pos, err)
	}
	switch {
	case c.header.Type == "":
		return Header{}, fmt.Errorf("%w: no type", ErrFormat)
	case !c.hasID:
		return Header{}, fmt.Errorf("%w: %.40q without an id", ErrFormat, c.header.Type)
	}
	return c.header, nil
}

type checker struct {
	p        []byte
	pos      int // where the current value begins
	next     int // where it ends
	left     [MaxDepth]int
	isMap    [MaxDepth]bool
	depth    int // open containers
	elements int
	key      []byte // the newest key of the outermost map
	header   Header
	hasID    bool
}

// kind is what a value is to the checker.
type kind uint8

const (
	other  kind = iota // nil, booleans, floats, signed integers
	number             // a non-negative integer
	text
	array
	object
)

func (c *checker) run() error {
	for {
		c.pos = c.next
		k, n, err := c.value()
		if err != nil {
			return err
		}
		if c.depth == 0 && k != object {
			return errors.New("not a map")
		}
		if c.depth > 0 {
			if err := c.member(k, n); err != nil {
				return err
			}
		}
		if k == array || k == object {
			if err := c.open(k, n); err != nil {
				return err
			}
		}
		for c.depth > 0 && c.left[c.depth-1] == 0 {
			c.depth--
		}
		if c.depth == 0 {
			break
		}
	}
	if c.pos = c.next; c.pos < len(c.p) {
		return fmt.Errorf("%d bytes after the end", len(c.p)-c.pos)
	}
	return nil
}

// member counts the value that has just been read as one of the innermost open
// container, and keeps it if it is part of the header.
func (c *checker) member(k kind, n uint64) error {
	top := c.depth - 1
	isKey := c.isMap[top] && c.left[top]%2 == 0
	c.left[top]--
	if isKey && k != text {
		return errors.New("key is not a string")
	}
	if c.depth > 1 || !c.isMap[0] {
		return nil
	}
	if isKey {
		c.key = c.p[c.next-int(n) : c.next]
		return nil
	}
	switch string(c.key) {
	case "type":
		if k != text || n == 0 {
			return errors.New("type is not a name")
		}
		if c.header.Type != "" {
			return errors.New("second type")
		}
		c.header.Type = string(c.p[c.next-int(min(n, 64)) : c.next])
		if n > 64 {
			return errors.New("type longer than 64 bytes")
		}
	case "id":
		if k != number {
			return errors.New("id is not a non-negative integer")
		}
		if c.hasID {
			return errors.New("second id")
		}
		c.header.ID, c.hasID = n, true
	}
	return nil
}

// open enters a container of n members or, if it is a map, n pairs.
func (c *checker) open(k kind, n uint64) error {
	members := n
	if k == object {
		n *= 2
	}
	if remaining := uint64(len(c.p) - c.next); n > remaining {
		return fmt.Errorf("%d values in %d bytes", n, remaining)
	}
	if c.elements += int(n); c.elements > MaxElements {
		return fmt.Errorf("more than %d values", MaxElements)
	}
	if members > MaxMembers {
		return fmt.Errorf("an array or map of %d, more than %d", members, MaxMembers)
	}
	if c.depth == MaxDepth {
		return fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	c.left[c.depth], c.isMap[c.depth] = int(n), k == object
	c.depth++
	return nil
}

// value reads one value, of a container only the head. n is the number, the length
// of the text, or the count of members.
func (c *checker) value() (k kind, n uint64, err error) {
	if c.pos == len(c.p) {
		return 0, 0, errors.New("cut short")
	}
	b := c.p[c.pos]
	c.next = c.pos + 1
	switch {
	case b < 0x80:
		return number, uint64(b), nil
	case b < 0x90:
		return object, uint64(b & 0x0f), nil
	case b < 0xa0:
		return array, uint64(b & 0x0f), nil
	case b < 0xc0:
		n = uint64(b & 0x1f)
		return text, n, c.skip(n, true)
	case b >= 0xe0:
		return other, 0, nil
	}
	switch b {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return other, 0, nil
	case 0xca, 0xd2: // float 32, int 32
		return other, 0, c.skip(4, false)
	case 0xcb, 0xd3: // float 64, int 64
		return other, 0, c.skip(8, false)
	case 0xd0, 0xd1: // int 8, 16
		return other, 0, c.skip(uint64(b-0xd0)+1, false)
	case 0xcc, 0xcd, 0xce, 0xcf: // uint 8 to 64
		n, err = c.uint(1 << (b - 0xcc))
		return number, n, err
	case 0xd9, 0xda, 0xdb: // str 8 to 32
		if n, err = c.uint(1 << (b - 0xd9)); err != nil {
			return 0, 0, err
		}
		return text, n, c.skip(n, true)
	case 0xdc, 0xdd: // array 16, 32
		n, err = c.uint(2 << (b - 0xdc))
		return array, n, err
	case 0xde, 0xdf: // map 16, 32
		n, err = c.uint(2 << (b - 0xde))
		return object, n, err
	}
	return 0, 0, fmt.Errorf("code %#02x is not used here", b)
}

// uint reads a big-endian number of size bytes.
func (c *checker) uint(size int) (uint64, error) {
	at := c.next
	if err := c.skip(uint64(size), false); err != nil {
		return 0, err
	}
	var b [8]byte
	copy(b[8-size:], c.p[at:c.next])
	return binary.BigEndian.Uint64(b[:]), nil
}

// skip moves next over n bytes.
func (c *checker) skip(n uint64, isText bool) error {
	if remaining := uint64(len(c.p) - c.next); n > remaining {
		return fmt.Errorf("%d bytes claimed, %d left", n, remaining)
	}
	at := c.next
	c.next += int(n)
	if isText && !utf8.Valid(c.p[at:c.next]) {
		return errors.New("string is not UTF-8")
	}
	return nil
}
