package bench

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/bits"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// noise is a fast source of random bytes, so that a model is written at the
// speed of the disk. Each tensor has its own, seeded by its name.
type noise uint64

func newNoise(name string) *noise {
	h := fnv.New64a()
	h.Write([]byte(name))
	n := noise(h.Sum64())
	return &n
}

// next is wyrand: a counter, and one multiplication to 128 bits.
func (n *noise) next() uint64 {
	*n += 0xa0761d6478bd642f
	hi, lo := bits.Mul64(uint64(*n), uint64(*n)^0xe7037ed1a0b428db)
	return hi ^ lo
}

// unit returns a number in [-1, 1).
func (n *noise) unit() float64 { return float64(int64(n.next())) / (1 << 63) }

// words fills dst with 64-bit words that pass through f.
func (n *noise) words(dst []byte, f func(uint64) uint64) {
	for len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, f(n.next()))
		dst = dst[8:]
	}
	if len(dst) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], f(n.next()))
		copy(dst, last[:])
	}
}

// int8s leaves no byte at -128, which no quantiser writes.
func int8s(x uint64) uint64 {
	const low7 = 0x7f7f7f7f7f7f7f7f
	t := x ^ ^uint64(low7)
	zero := ^((t&low7 + low7) | t | low7) // 0x80 where t is 0
	return x | zero>>7
}

// nibbles leaves none at 0: the stored nibbles are the weight plus 8, from 1 to
// 15 in packed matrices, and group scales are from 1 to 15. 8 in its place keeps
// the mean where it should be.
func nibbles(x uint64) uint64 {
	any := x | x>>1
	any |= any >> 2
	return x | (^any&0x1111111111111111)<<3
}

// Root mean squares of what the functions above make.
const (
	int8RMS   = 73.3  // uniform over ±127
	nibbleRMS = 4.18  // uniform over ±7, 0 twice
	groupRMS  = 9.03  // uniform over 1 to 15, 8 twice
	halfRMS   = 1.528 // uniform over 1 to 2
)

// A filler writes whole units of a stored type.
type filler struct {
	unit int
	fill func(n *noise, dst []byte)
}

// floats are float32, uniform with a standard deviation of spread about centre.
func floats(centre, spread float64) filler {
	return filler{4, func(n *noise, dst []byte) {
		for ; len(dst) >= 4; dst = dst[4:] {
			v := float32(centre + spread*math.Sqrt(3)*n.unit())
			binary.LittleEndian.PutUint32(dst, math.Float32bits(v))
		}
	}}
}

// halves are half-precision numbers about 0, their magnitudes uniform between
// two powers of two.
func halves(spread float64) filler {
	e := int(math.Round(math.Log2(spread / halfRMS)))
	exponent := uint64(min(max(e+15, 1), 30)) << 10 * 0x0001000100010001
	return filler{2, func(n *noise, dst []byte) {
		n.words(dst, func(x uint64) uint64 { return x&0x83ff83ff83ff83ff | exponent })
	}}
}

// scales are positive half-precision numbers within a few percent of d.
func scales(d float64) filler {
	base := kernels.F32ToF16(float32(d))
	return filler{2, func(n *noise, dst []byte) {
		for ; len(dst) >= 2; dst = dst[2:] {
			binary.LittleEndian.PutUint16(dst, base|uint16(n.next()>>59))
		}
	}}
}

// blocks are GGUF's blocks of 32 values: a half-precision scale, then integers.
func blocks(t quant.Type, spread float64) filler {
	f, rms, size := int8s, float64(int8RMS), kernels.Q8Bytes
	if t == quant.Q4_0 {
		f, rms, size = nibbles, nibbleRMS, kernels.Q4Bytes
	}
	d := scales(spread / rms)
	return filler{size, func(n *noise, dst []byte) {
		for ; len(dst) >= size; dst = dst[size:] {
			d.fill(n, dst[:2])
			n.words(dst[2:size], f)
		}
	}}
}

// number is one value, over and over.
func number(v uint32) filler {
	return filler{4, func(_ *noise, dst []byte) {
		for ; len(dst) >= 4; dst = dst[4:] {
			binary.LittleEndian.PutUint32(dst, v)
		}
	}}
}

// integers are those of packed matrices, or their group scales.
func integers(f func(uint64) uint64) filler {
	return filler{1, func(n *noise, dst []byte) { n.words(dst, f) }}
}
