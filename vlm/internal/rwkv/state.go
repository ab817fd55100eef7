package rwkv

import (
	"encoding/binary"
	"fmt"
	"math"
)

// State is what a stack of blocks carries from token to token: per block the
// wkv state [H,N,N] and the last inputs of the token shifts [C] (the
// layer-normed inputs of the sub-layers, not the residual stream). The zero
// state is the start of a sequence.
type State struct {
	blocks []blockState
	all    []float32 // every array, one after another, in block order
}

type blockState struct {
	wkv      []float32 // [H,N,N], key axis before value axis
	shiftAtt []float32 // [C]
	shiftX   []float32 // [C], cross state mixing only
	shiftFFN []float32 // [C]; empty in a block of which only the state is wanted
}

// NewState returns a zero state for blocks.
func NewState(blocks []*Block) *State {
	total := 0
	for _, b := range blocks {
		total += b.stateLen()
	}
	s := &State{blocks: make([]blockState, len(blocks)), all: make([]float32, total)}
	rest := s.all
	take := func(n int) []float32 {
		p := rest[:n:n]
		rest = rest[n:]
		return p
	}
	for i, b := range blocks {
		bs := &s.blocks[i]
		bs.wkv = take(b.dims.StateLen())
		bs.shiftAtt = take(b.dims.C)
		if b.cross != nil {
			bs.shiftX = take(b.dims.C)
		}
		if b.ffn != nil {
			bs.shiftFFN = take(b.dims.C)
		}
	}
	return s
}

func (b *Block) stateLen() int {
	n := b.dims.StateLen() + b.dims.C
	if b.cross != nil {
		n += b.dims.C
	}
	if b.ffn != nil {
		n += b.dims.C
	}
	return n
}

// WKV returns the wkv state [H,N,N] of block i, borrowed.
func (s *State) WKV(i int) []float32 { return s.blocks[i].wkv }

// Shifts returns the token-shift vectors of block i, borrowed: time mixing,
// cross state mixing (nil in other variants), channel mixing (nil where only
// the state is wanted).
func (s *State) Shifts(i int) (att, cross, ffn []float32) {
	b := &s.blocks[i]
	return b.shiftAtt, b.shiftX, b.shiftFFN
}

// Reset makes s the start of a sequence.
func (s *State) Reset() { clear(s.all) }

// CopyFrom makes s equal to o, which must belong to the same blocks.
func (s *State) CopyFrom(o *State) {
	if len(s.all) != len(o.all) {
		panic("rwkv: states of different stacks")
	}
	copy(s.all, o.all)
}

// Clone returns a copy of s.
func (s *State) Clone() *State {
	c := &State{blocks: make([]blockState, len(s.blocks)), all: make([]float32, len(s.all))}
	copy(c.all, s.all)
	rest := c.all
	take := func(like []float32) []float32 {
		n := len(like)
		if n == 0 {
			return nil
		}
		p := rest[:n:n]
		rest = rest[n:]
		return p
	}
	for i, b := range s.blocks {
		c.blocks[i] = blockState{take(b.wkv), take(b.shiftAtt), take(b.shiftX), take(b.shiftFFN)}
	}
	return c
}

// Size returns the bytes of the binary form.
func (s *State) Size() int { return 4 * len(s.all) }

// AppendBinary appends the state's float32 values, little endian, to dst.
// [State.SetBinary] restores them bit for bit.
func (s *State) AppendBinary(dst []byte) []byte {
	return AppendFloats(dst, s.all)
}

// SetBinary restores what AppendBinary wrote. It refuses data of another
// length and values that are not finite; s is unchanged then.
func (s *State) SetBinary(data []byte) error {
	if len(data) != s.Size() {
		return fmt.Errorf("state of %d bytes, want %d", len(data), s.Size())
	}
	return DecodeFloats(s.all, data)
}

// AppendFloats appends v as little-endian float32 to dst.
func AppendFloats(dst []byte, v []float32) []byte {
	for _, f := range v {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(f))
	}
	return dst
}

// DecodeFloats fills dst from little-endian float32. It refuses values that
// are not finite before it writes any.
func DecodeFloats(dst []float32, data []byte) error {
	if len(data) != 4*len(dst) {
		return fmt.Errorf("%d bytes for %d values", len(data), len(dst))
	}
	for i := range dst {
		if u := binary.LittleEndian.Uint32(data[4*i:]); u&0x7f800000 == 0x7f800000 {
			return fmt.Errorf("value %d is not finite", i)
		}
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return nil
}

// MaxAbs returns the largest magnitude in the state, +Inf if any value is not
// finite. A daemon watches it: nothing but the decay bounds a state over a
// long stream.
func (s *State) MaxAbs() float32 {
	var m uint32
	for _, f := range s.all {
		// Without the sign bit, float32 bit patterns order as the
		// magnitudes do, with Inf and NaN above every number.
		m = max(m, math.Float32bits(f)&^(1<<31))
	}
	if m >= 0x7f800000 {
		return float32(math.Inf(1))
	}
	return math.Float32frombits(m)
}
