package kernels

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// TestBitsEverywhere pins the integer results of all backends on all architectures, where
// the other tests compare those of one machine. Inputs are quotients by powers of two of
// whole numbers: nothing here depends on how a machine rounds or fuses. A change of the
// definition changes the sum too, and then the message has the new one.
func TestBitsEverywhere(t *testing.T) {
	const rows, cols = 48, 576 // blocks of 256, 256 and 64 columns
	eachBackend(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		fill := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			return b
		}
		// halves puts positive scales below one half every stride bytes.
		halves := func(b []byte, stride int) []byte {
			for i := 0; i+2 <= len(b); i += stride {
				binary.LittleEndian.PutUint16(b[i:], uint16(r.IntN(14<<10)))
			}
			return b
		}
		x := make([]float32, MaxTile*cols)
		for i := range x {
			x[i] = float32(r.IntN(1<<21)-1<<20) / (1 << 18)
		}
		sums := map[string]uint32{}
		put := func(name string, results ...any) {
			for _, v := range results {
				b, err := binary.Append(nil, binary.LittleEndian, v)
				if err != nil {
					t.Fatal(err)
				}
				sums[name] = crc32.Update(sums[name], crc32.IEEETable, b)
			}
		}

		q8, q4 := halves(fill(rows*cols/Block*Q8Bytes), Q8Bytes), halves(fill(rows*cols/Block*Q4Bytes), Q4Bytes)
		p8, p4 := fill(rows*cols), fill(rows*cols/2)
		scales, groups := halves(fill(2*rows*PackBlocks(cols)), 2), fill(rows*cols/64)
		unpacked := make([]int8, rows*cols)
		UnpackP4(unpacked, p4, groups, rows, cols)
		put("UnpackP4", unpacked)
		for _, n := range tileSizes {
			dst := make([]float32, n*rows)
			q, scale, sum := make([]int8, n*cols), make([]float32, n*cols/Block), make([]int32, n*cols/Block)
			QuantizeActs(q, scale, sum, x[:n*cols])
			put("QuantizeActs", q, scale, sum)
			MulQ8(dst, rows, q8, q, scale, sum, rows, cols, n)
			put("MulQ8", dst)
			MulQ4(dst, rows, q4, q, scale, sum, rows, cols, n)
			put("MulQ4", dst)

			a := newTile(t, cols, n)
			QuantizeTile(a.q, a.scale, a.sum, x[:n*cols], cols, n)
			put("QuantizeTile", a.q, a.scale, a.sum)
			MulP8(dst, rows, p8, scales, a.q, a.scale, a.sum, rows, cols, n)
			put("MulP8", dst)
			MulP4(dst, rows, p4, scales, groups, a.q, a.scale, a.sum, rows, cols, n)
			put("MulP4", dst)
		}

		rgb := make([]uint8, 3*len(p8)/2)
		for _, full := range []bool{false, true} {
			YUYVToRGB(rgb, p8, full)
			put("YUYVToRGB", rgb)
			UYVYToRGB(rgb, p8, full)
			put("UYVYToRGB", rgb)
			n := len(p8) / 2
			NV12ToRGB(rgb, p8[:n], p8[n:], full)
			put("NV12ToRGB", rgb)
			I420ToRGB(rgb, p8[:n], p8[n:][:n/2], p8[n+n/2:], full)
			put("I420ToRGB", rgb)
		}
		w := make([]int16, TapsLen(5))
		SplitTaps(w, []int32{-1 << 19, 1<<20 - 7, 1<<21 + 5, 1<<20 + 1, 1<<19 + 1})
		line := make([]uint8, cols)
		Resample(line, p8, cols, 5, w)
		put("Resample", line)

		want := map[string]uint32{
			"QuantizeActs": 0x09041b0f, "MulQ8": 0x8bca17de, "MulQ4": 0x39be0e7c,
			"QuantizeTile": 0xb73ae811, "MulP8": 0x33796026, "MulP4": 0xbfde75e7, "UnpackP4": 0x899d8ca5,
			"YUYVToRGB": 0x8682345a, "UYVYToRGB": 0xd69ea572, "NV12ToRGB": 0x53c0e1a0, "I420ToRGB": 0xf9e97ccd,
			"Resample": 0xbda989cf,
		}
		for name, got := range sums {
			if got != want[name] {
				t.Errorf("%s: checksum %#08x, want %#08x", name, got, want[name])
			}
		}
		if len(sums) != len(want) {
			t.Errorf("%d kernels, want %d", len(sums), len(want))
		}
	})
}
