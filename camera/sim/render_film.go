package sim

import (
	"encoding/binary"
	"image"
	"math"
)

// Light is kept in fixed point: linearOne is a display value of 255, brighter
// light, up to linearMax, is bent below it.
const (
	linearOne = 4096
	linearMax = 8191
)

// toFixed clips light to the range of the film.
func toFixed(v float64) uint16 {
	return uint16(min(max(float64(v*linearOne)+0.5, 0), linearMax))
}

// film turns light into display values: exposure, vignette, tone, noise.
type film struct {
	tone  [linearMax + 1]int16 // linear to display, 4 fractional bits
	grain []int16              // noise of this room, same unit; a row starts anywhere below grainPeriod
	vx    []uint32             // vignette loss by column and by row, 1/4096
	vy    []uint32
	gain  float64
	seed  uint64
}

const grainPeriod = 1 << 12

func newFilm(s *style, w, h int) *film {
	f := &film{gain: s.gain, seed: s.seed, grain: make([]int16, grainPeriod+3*w), vx: loss(w, s.vignette), vy: loss(h, s.vignette)}
	for i := range f.tone {
		v := float64(i) / linearOne
		if v > 0.8 { // a shoulder instead of hard clipping
			e := v - 0.8
			v = 0.8 + e/(1+float64(2.2*e))
		}
		f.tone[i] = int16(float64(min(math.Sqrt(v), 1)*255*16) + 0.5)
	}
	for i := range f.grain {
		h := mix(s.seed + uint64(i)) // four uniforms: nearly Gaussian, variance 4/12
		sum := float64(h&0xffff) + float64(h>>16&0xffff) + float64(h>>32&0xffff) + float64(h>>48)
		f.grain[i] = int16(math.Floor(float64((sum/65536-2)*1.7320508*16*s.noise) + 0.5))
	}
	return f
}

func loss(n int, corner float64) []uint32 {
	v := make([]uint32, n)
	for i := range v {
		u := (2*float64(i)+1)/float64(n) - 1
		v[i] = uint32(float64(float64(u*u)*corner) * 0.5 * 4096)
	}
	return v
}

// develop writes the picture. The frame seeds grain and flicker.
func (f *film) develop(dst *image.RGBA, buf []uint16, w, h int, seed uint64) {
	k := mix(seed ^ f.seed)
	gain := uint32(float64(f.gain * 4096 * (1 + float64(0.015*signed(mix(k))))))
	for y := range h {
		k = mix(k)
		grain := f.grain[k%grainPeriod:][:3*w]
		src := buf[y*w*3:][:3*w]
		o := dst.PixOffset(dst.Rect.Min.X, dst.Rect.Min.Y+y)
		out := dst.Pix[o : o+4*w]
		g := gain - gain*f.vy[y]>>12
		for _, loss := range f.vx {
			if len(src) < 3 || len(grain) < 3 || len(out) < 4 {
				break
			}
			gx := g - gain*loss>>12
			a := int32(f.tone[min(uint32(src[0])*gx>>12, linearMax)]) + int32(grain[0])
			b := int32(f.tone[min(uint32(src[1])*gx>>12, linearMax)]) + int32(grain[1])
			c := int32(f.tone[min(uint32(src[2])*gx>>12, linearMax)]) + int32(grain[2])
			binary.LittleEndian.PutUint32(out, level(a)|level(b)<<8|level(c)<<16|0xff<<24)
			src, grain, out = src[3:], grain[3:], out[4:]
		}
	}
}

// level drops the fraction and clips to 0..255.
func level(v int32) uint32 { return uint32(min(max(v>>4, 0), 255)) }
