package quant

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/kernels"
)

// The reference below follows GGML's quantize_row_q8_0_ref and quantize_row_q4_0_ref
// statement by statement, with C's conversions spelled out.

func refQ8(x []float32) []byte {
	var amax float32
	for _, v := range x {
		amax = max(amax, float32(math.Abs(float64(v))))
	}
	d := amax / ((1 << 7) - 1)
	var id float32
	if d != 0 {
		id = 1 / d
	}
	out := binary.LittleEndian.AppendUint16(nil, kernels.F32ToF16(d))
	for _, v := range x {
		x0 := float32(v * id)
		r := float32(math.Trunc(float64(x0))) // roundf
		if math.Abs(float64(x0)-float64(r)) >= 0.5 {
			r += float32(math.Copysign(1, float64(x0)))
		}
		out = append(out, byte(int8(r)))
	}
	return out
}

func refQ4(x []float32) []byte {
	var amax, peak float32
	for _, v := range x {
		if a := float32(math.Abs(float64(v))); amax < a {
			amax, peak = a, v
		}
	}
	d := peak / -8
	var id float32
	if d != 0 {
		id = 1 / d
	}
	out := binary.LittleEndian.AppendUint16(nil, kernels.F32ToF16(d))
	for j := range 16 {
		x0, x1 := float32(x[j]*id), float32(x[16+j]*id)
		xi0, xi1 := min(15, int8(x0+8.5)), min(15, int8(x1+8.5))
		out = append(out, byte(xi0)|byte(xi1)<<4)
	}
	return out
}

// blocks returns blocks of 32 values of many kinds.
func blocks(r *rand.Rand) [][]float32 {
	var all [][]float32
	for i := range 3000 {
		x := make([]float32, 32)
		size := math.Ldexp(1, r.IntN(50)-40)
		for j := range x {
			switch i % 4 {
			case 0:
				x[j] = float32(r.NormFloat64() * size)
			case 1: // ties: halves of a step
				x[j] = float32(r.IntN(255)-127) / 2
			case 2: // sparse, one sign
				x[j] = float32(r.IntN(2)) * float32(size) * r.Float32()
			case 3: // two peaks of opposite sign
				x[j] = float32(r.IntN(3)-1) * float32(size)
			}
		}
		all = append(all, x)
	}
	return append(all, make([]float32, 32))
}

func TestQuantizeReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, x := range blocks(r) {
		q8, q4 := make([]byte, 34), make([]byte, 18)
		if err := Quantize(Q8_0, q8, x); err != nil {
			t.Fatal(err)
		}
		if want := refQ8(x); !bytes.Equal(q8, want) {
			t.Fatalf("q8_0 of %v:\n got %x\nwant %x", x, q8, want)
		}
		if err := Quantize(Q4_0, q4, x); err != nil {
			t.Fatal(err)
		}
		if want := refQ4(x); !bytes.Equal(q4, want) {
			t.Fatalf("q4_0 of %v:\n got %x\nwant %x", x, q4, want)
		}
	}
}

// TestQuantizeKnown pins bytes worked out by hand.
func TestQuantizeKnown(t *testing.T) {
	x := make([]float32, 32)
	for i := range x {
		x[i] = float32(i - 16) // peak -16: Q4 scale 2, Q8 scale 16/127
	}
	q4 := make([]byte, 18)
	if err := Quantize(Q4_0, q4, x); err != nil {
		t.Fatal(err)
	}
	// f16(2) = 0x4000; low nibbles are round(x/2)+8 of -16..-1, high of 0..15.
	want := []byte{0x00, 0x40}
	for i := range 16 {
		lo, hi := (i+1)/2, min(15, (i+1)/2+8)
		want = append(want, byte(lo|hi<<4))
	}
	if !bytes.Equal(q4, want) {
		t.Errorf("q4_0: got %x, want %x", q4, want)
	}
	clear(x)
	if err := Quantize(Q4_0, q4, x); err != nil {
		t.Fatal(err)
	}
	// GGML divides 0 by -8: the scale is minus zero.
	if want := append([]byte{0x00, 0x80}, bytes.Repeat([]byte{0x88}, 16)...); !bytes.Equal(q4, want) {
		t.Errorf("q4_0 of zeros: got %x, want %x", q4, want)
	}
}

func TestDequantize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range types {
		for _, x := range blocks(r) {
			rb, err := typ.RowBytes(len(x))
			if err != nil {
				t.Fatal(err)
			}
			b, y := make([]byte, rb), make([]float32, len(x))
			if err := Quantize(typ, b, x); err != nil {
				t.Fatal(err)
			}
			if err := Dequantize(typ, y, b); err != nil {
				t.Fatal(err)
			}
			var amax float64
			for _, v := range x {
				amax = max(amax, math.Abs(float64(v)))
			}
			for i, v := range x {
				// Relative error of the format; absolute where half precision ends.
				var bound float64
				switch typ {
				case F16:
					bound = math.Abs(float64(v))/2048 + 0x1p-25
				case BF16:
					bound = math.Abs(float64(v)) / 256
				case Q8_0: // half a step, the rounded scale
					bound = amax*(0.5/127+1.0/2048) + 127*0x1p-25
				case Q4_0: // the mirror of the peak loses a whole step
					bound = amax*(1.0/8+1.0/2048) + 8*0x1p-25
				}
				if !(math.Abs(float64(y[i]-v)) <= bound) && math.Abs(float64(v)) < 65504 {
					t.Fatalf("%v: %v came back as %v", typ, v, y[i])
				}
			}
		}
	}
}

func TestQuantizeErrors(t *testing.T) {
	nan, inf, big := float32(math.NaN()), float32(math.Inf(1)), float32(1e9)
	for _, c := range []struct {
		t     Type
		bytes int
		value float32
		n     int
		want  string
	}{
		{Q8_0, 68, nan, 64, "values 32 to 63: NaN cannot be quantised"},
		{Q4_0, 36, -inf, 64, "values 32 to 63: -Inf cannot be quantised"},
		{Q8_0, 68, big, 64, "overflows half precision"},
		{Q4_0, 36, big, 64, "overflows half precision"},
		{Q8_0, 67, 0, 64, "64 values in q8_0 need 68 bytes, have 67"},
		{Q8_0, 68, 0, 63, "63 columns are not a multiple of 32, the block of q8_0"},
		{F16, 4, 0, 1, "1 values in f16 need 2 bytes, have 4"},
		{Type(7), 4, 0, 1, "unsupported weight type 7"},
	} {
		x := make([]float32, c.n)
		x[c.n-1] = c.value
		err := Quantize(c.t, make([]byte, c.bytes), x)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v: got %v, want %q", c.t, c.value, err, c.want)
		}
	}
	if err := Dequantize(Q4_0, make([]float32, 32), make([]byte, 17)); err == nil {
		t.Error("a short source was accepted")
	}
	// A scale too small to invert, and to store, gives zeros.
	x := make([]float32, 32)
	x[3] = math.SmallestNonzeroFloat32
	for _, typ := range []Type{Q8_0, Q4_0} {
		rb, _ := typ.RowBytes(32)
		b := make([]byte, rb)
		if err := Quantize(typ, b, x); err != nil {
			t.Fatal(err)
		}
		if err := Dequantize(typ, x, b); err != nil || x[3] != 0 {
			t.Errorf("%v: %v, %v", typ, x[3], err)
		}
	}
}

// FuzzQuantize checks that quantising any finite values equals the reference or says
// why not, and that expanding any bytes and quantising them again is stable.
func FuzzQuantize(f *testing.F) {
	f.Add(make([]byte, 128))
	f.Add(bytes.Repeat([]byte{0x7f, 0x80, 0x01, 0xc3}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 128 {
			return
		}
		x := make([]float32, 32)
		if err := Dequantize(F32, x, b[:128]); err != nil {
			t.Fatal(err)
		}
		q := make([]byte, 34)
		if err := Quantize(Q8_0, q, x); err == nil && math.Abs(float64(maxAbs(x))) > 0x1p-120 {
			if want := refQ8(x); !bytes.Equal(q, want) {
				t.Fatalf("q8_0 of %v:\n got %x\nwant %x", x, q, want)
			}
		}
		if err := Quantize(Q4_0, q[:18], x); err == nil && maxAbs(x) > 0x1p-120 {
			if want := refQ4(x); !bytes.Equal(q[:18], want) {
				t.Fatalf("q4_0 of %v:\n got %x\nwant %x", x, q[:18], want)
			}
		}
		for _, typ := range types {
			rb, err := typ.RowBytes(32)
			if err != nil {
				t.Fatal(err)
			}
			if err := Dequantize(typ, x, b[:rb]); err != nil {
				t.Fatal(err)
			}
			if err := Quantize(typ, make([]byte, rb), x); err == nil {
				continue
			} else if m := maxAbs(x); typ != Q8_0 && typ != Q4_0 || m-m == 0 && m < 65504 {
				t.Fatalf("%v: %v", typ, err)
			}
		}
	})
}

func maxAbs(x []float32) float32 {
	var m float32
	for _, v := range x {
		m = max(m, v, -v)
	}
	return m
}
