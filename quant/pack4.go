package quant

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/visualrwkv/edged/kernels"
)

// block4 is one block of one row on its way to P4: value i is d*g[i/32]*q[i]. The scale
// may be negative, which turns the range of the integers round.
type block4 struct {
	x    []float32
	h    []float32 // what the squared error of each value counts
	half uint16    // d in half precision, without its sign
	sign float32
	d    float32 // without its sign
	g    [kernels.PackBlock / kernels.PackGroup]uint8
	step [kernels.PackBlock / kernels.PackGroup]float32 // d*g as it would be without the other groups
}

// The integers of P4. Their product with a group scale is at least -120.
const lowest4, highest4 = -8, 7

// fit chooses scale and group scales for the values x, whose squared errors count h. It
// searches three times, each time in the
// neighbourhood of what was found before: the best step of every group by itself, for
// both signs; then the scale whose multiples come nearest to the steps; then the scale
// that is best in the sense of least squares for the integers found, as long as that
// helps.
func (b *block4) fit(x, h []float32) error {
	m, err := peak(x)
	if err != nil {
		return err
	}
	*b = block4{x: x, h: h, sign: 1}
	if m == 0 {
		for k := range b.g {
			b.g[k] = 1
		}
		return nil
	}
	gain := b.steps()
	turned := block4{x: x, h: h, sign: -1}
	if turned.steps() > gain {
		*b = turned
	}
	largest := slices.Max(b.step[:])
	best, least := block4{}, float32(math.Inf(1))
	try := func(d float32) (better bool, err error) {
		if b.half, err = packScale(d); err != nil {
			return false, err
		}
		b.d = kernels.F16ToF32(b.half)
		if e := b.choose(); e < least || best.x == nil {
			best, least = *b, e
			return true, nil
		}
		return false, nil
	}
	for _, g := range [...]float32{15.5, 15, 14.5, 14, 13.5, 13} {
		if _, err := try(largest / g); err != nil {
			return err
		}
	}
	for range 3 {
		*b = best
		if better, err := try(b.leastSquares()); err != nil || !better {
			break
		}
	}
	*b = best
	return nil
}

// steps finds the best step of every group by itself, and returns how much they take
// away from Σhx².
func (b *block4) steps() (gain float32) {
	for k := range b.groups() {
		var g float32
		b.step[k], g = bestStep(b.group(k), b.weights(k), b.sign)
		gain += g
	}
	return gain
}

func (b *block4) groups() int { return len(b.x) / kernels.PackGroup }

func (b *block4) group(k int) *[kernels.PackGroup]float32 {
	return (*[kernels.PackGroup]float32)(b.x[k*kernels.PackGroup:])
}

func (b *block4) weights(k int) *[kernels.PackGroup]float32 {
	return (*[kernels.PackGroup]float32)(b.h[k*kernels.PackGroup:])
}

// bestStep returns the step of least squared error for one group by itself: of a few
// that put the largest value near the end of the range, each with its integers and the
// step that is best for those.
func bestStep(x, h *[kernels.PackGroup]float32, sign float32) (step, gain float32) {
	var amax float32
	for _, v := range x {
		amax = max(amax, abs(v))
	}
	if amax < 0x1p-100 {
		return 0, 0
	}
	for c := float32(6); c < 9; c += 0.25 {
		inv := sign * c / amax
		var xq, qq float32
		for i, v := range x {
			q := round4(v * inv)
			hq := float32(h[i] * q)
			xq += float32(v * hq)
			qq += float32(q * hq)
		}
		if qq == 0 {
			continue
		}
		// The error is Σhx² - xq²/qq.
		xq *= sign
		if g := xq / qq * xq; g > gain {
			step, gain = xq/qq, g
		}
	}
	return step, gain
}

func round4(v float32) float32 { return nearest(v, lowest4, highest4) }

// choose takes for each group the better of the two multiples of d around its step, and
// returns the squared error of the block.
func (b *block4) choose() (sum float32) {
	for k := range b.groups() {
		x, h := b.group(k), b.weights(k)
		lo := min(max(int(min(b.step[k]/b.d, 15)), 1), 15)
		g, e := lo, squaredError(x, h, b.sign*b.d*float32(lo))
		if hi := lo + 1; hi <= 15 {
			if f := squaredError(x, h, b.sign*b.d*float32(hi)); f < e {
				g, e = hi, f
			}
		}
		b.g[k] = uint8(g)
		sum += e
	}
	return sum
}

func squaredError(x, h *[kernels.PackGroup]float32, step float32) (sum float32) {
	inv := 1 / step
	for i, v := range x {
		e := v - float32(round4(v*inv)*step)
		sum += float32(float32(e*e) * h[i])
	}
	return sum
}

// leastSquares returns the scale of least squared error for the integers of b.
func (b *block4) leastSquares() float32 {
	var xq, qq float32
	for k := range b.groups() {
		g := float32(b.g[k])
		inv := b.sign / (b.d * g)
		h := b.weights(k)
		for i, v := range b.group(k) {
			q := g * round4(v*inv)
			hq := float32(h[i] * q)
			xq += float32(v * hq)
			qq += float32(q * hq)
		}
	}
	if qq == 0 {
		return b.d
	}
	return b.sign * xq / qq
}

// round sets q to the integers nearest to the values.
func (b *block4) round(q []int8) {
	for k := range b.groups() {
		inv := float32(0)
		if b.d != 0 {
			inv = 1 / b.value(k)
		}
		for i, v := range b.group(k) {
			q[k*kernels.PackGroup+i] = int8(round4(v * inv))
		}
	}
}

// value returns what an integer of group k is multiplied with.
func (b *block4) value(k int) float32 { return b.sign * b.d * float32(b.g[k]) }

// store writes the block with its integers; data, scale and group begin at its first byte
// of this row.
func (b *block4) store(data, scale, group []byte, q []int8) {
	binary.LittleEndian.PutUint16(scale, b.half|uint16(math.Float32bits(b.sign)>>16)&0x8000)
	for k := range b.groups() {
		p := &group[k/2*kernels.PackRows]
		if k%2 == 0 {
			*p = b.g[k]
		} else {
			*p |= b.g[k] << 4
		}
	}
	for c := 0; c < len(b.x); c += 8 {
		unit := data[c/8*4*kernels.PackRows:]
		for j := range 4 {
			unit[j] = byte(q[c+j]+8) | byte(q[c+4+j]+8)<<4
		}
	}
}
