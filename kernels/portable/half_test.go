package portable

import (
	"encoding/binary"
	"math"
	"testing"
)

// TestF16Exact checks every half-precision number: the value against the definition,
// and that converting back gives the same bits.
func TestF16Exact(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := F16ToF32(h)
		exp, frac := int(h>>10&31), float64(h&1023)
		var want float64
		switch {
		case exp == 31 && frac != 0:
			if f == f || F32ToF16(f)&0x7e00 != 0x7e00 || F32ToF16(f)>>15 != h>>15 {
				t.Fatalf("%#04x: NaN became %v, %#04x", h, f, F32ToF16(f))
			}
			continue
		case exp == 31:
			want = math.Inf(1)
		case exp == 0:
			want = math.Ldexp(frac, -24)
		default:
			want = math.Ldexp(1024+frac, exp-25)
		}
		if h>>15 != 0 {
			want = -want
		}
		if float64(f) != want || math.Signbit(float64(f)) != math.Signbit(want) {
			t.Fatalf("%#04x = %v, want %v", h, f, want)
		}
		if back := F32ToF16(f); back != h {
			t.Fatalf("%#04x came back as %#04x", h, back)
		}
	}
}

// TestF16Rounding looks at the middle between neighbours and just beside it.
func TestF16Rounding(t *testing.T) {
	for h := uint16(0); h < 0x7c00; h++ {
		// Twice the value is exact, and so is the sum of neighbours.
		next := float32(65536)
		if h+1 < 0x7c00 {
			next = F16ToF32(h + 1)
		}
		mid := (F16ToF32(h) + next) / 2
		even := h + h&1
		for _, c := range []struct {
			f    float32
			want uint16
		}{
			{math.Nextafter32(mid, 0), h},
			{mid, even},
			{math.Nextafter32(mid, 1e9), h + 1},
		} {
			if got := F32ToF16(c.f); got != c.want {
				t.Fatalf("%v: got %#04x, want %#04x", c.f, got, c.want)
			}
			if got := F32ToF16(-c.f); got != c.want|0x8000 {
				t.Fatalf("%v: got %#04x, want %#04x", -c.f, got, c.want|0x8000)
			}
		}
	}
	for _, f := range []float32{65536, math.MaxFloat32, float32(math.Inf(1))} {
		if got := F32ToF16(f); got != 0x7c00 {
			t.Errorf("%v: got %#04x, want infinity", f, got)
		}
	}
}

func TestBF16(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := BF16ToF32(h)
		if f != f {
			if g := BF16ToF32(F32ToBF16(f)); g == g {
				t.Fatalf("%#04x: NaN became %v", h, g)
			}
			continue
		}
		if got := F32ToBF16(f); got != h {
			t.Fatalf("%#04x came back as %#04x", h, got)
		}
		if h&0x7f80 == 0x7f80 {
			continue
		}
		mid := uint32(h)<<16 | 0x8000
		for d, want := range map[uint32]uint16{mid - 1: h, mid: h + h&1, mid + 1: h + 1} {
			if got := F32ToBF16(math.Float32frombits(d)); got != want {
				t.Fatalf("%#08x: got %#04x, want %#04x", d, got, want)
			}
		}
	}
	if got := F32ToBF16(math.Float32frombits(0x7f800001)); got&0x7fff <= 0x7f80 {
		t.Errorf("a NaN with a low payload became %#04x", got)
	}
}

// TestDecodeHalf runs every number through the decoders, in each of the places that
// the unrolled loops treat differently.
func TestDecodeHalf(t *testing.T) {
	src := make([]byte, 2*7)
	dst := make([]float32, 7)
	for i := range 1 << 16 {
		for place := range dst {
			for j := range dst {
				binary.LittleEndian.PutUint16(src[2*j:], uint16(0x3c00+j))
			}
			binary.LittleEndian.PutUint16(src[2*place:], uint16(i))
			DecodeF16(dst, src)
			for j, v := range dst {
				want := F16ToF32(binary.LittleEndian.Uint16(src[2*j:]))
				if math.Float32bits(v) != math.Float32bits(want) {
					t.Fatalf("%#04x at %d: value %d is %v, want %v", i, place, j, v, want)
				}
			}
			DecodeBF16(dst, src)
			for j, v := range dst {
				want := BF16ToF32(binary.LittleEndian.Uint16(src[2*j:]))
				if math.Float32bits(v) != math.Float32bits(want) {
					t.Fatalf("%#04x at %d: value %d is %v, want %v", i, place, j, v, want)
				}
			}
		}
	}
}
