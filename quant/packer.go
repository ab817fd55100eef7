package quant

import (
	"fmt"
	"slices"

	"github.com/visualrwkv/edged/kernels"
)

// tile is the number of rows that a Packer packs at once.
const tile = kernels.PackRows

// rounding is how integers are chosen.
type rounding uint8

const (
	compensated rounding = iota
	toNearest
	toZero
)

// Packer packs row tiles with compensation. It belongs to one goroutine at a time.
type Packer struct {
	c      *Compensation
	stored int
	rest   []float32 // of each chunk [tile, chunk]: w - ŵ by position, 0 where nothing is rounded yet
	sums   []float32 // [tile, compensationWidth]: products of rest with L
	part   []float32 // the same of one chunk
	row    []float32 // [stored]: one row, with zeros in the columns that are added
	weight []float32 // [stored]: what the error of each column counts
	even   []float32 // [stored]: ones
	step   []float32 // [tile, stored]: what an integer is multiplied with
	q      []int8    // [tile, stored]
	scales [tile][]uint16
	blocks [tile][]block4
}

// NewPacker returns a packer for rows of c's size.
func (c *Compensation) NewPacker() *Packer {
	stored := StoredCols(c.size)
	p := &Packer{
		c:      c,
		stored: stored,
		rest:   make([]float32, tile*stored),
		sums:   make([]float32, tile*compensationWidth),
		part:   make([]float32, tile*compensationWidth),
		row:    make([]float32, stored),
		weight: make([]float32, stored),
		even:   slices.Repeat([]float32{1}, stored),
		step:   make([]float32, tile*stored),
		q:      make([]int8, tile*stored),
	}
	copy(p.weight, c.weight)
	for r := range tile {
		p.scales[r] = make([]uint16, kernels.PackBlocks(stored))
		p.blocks[r] = make([]block4, kernels.PackBlocks(stored))
	}
	return p
}

// Pack is the function Pack for one row tile, with compensation. Scales are chosen before
// anything is rounded, for a small error in which each column counts what it will when
// those after it have made up for what they can. It returns the squared error of the
// products, in units of its own that are the same for all tiles of c and all types.
func (p *Packer) Pack(t Type, data, scale, group []byte, src []float32) (float64, error) {
	m, err := NewPacked(t, tile, p.c.size, data, scale, group)
	if err != nil {
		return 0, err
	}
	if len(src) != tile*p.c.size {
		return 0, fmt.Errorf("%d values for a row tile of %d x %d", len(src), tile, p.c.size)
	}
	if err := p.scale(t, src, p.weight); err != nil {
		return 0, err
	}
	e := p.round(t, src, compensated)
	for r := range tile {
		for b, c := 0, 0; c < p.stored; b, c = b+1, c+kernels.PackBlock {
			data, scale, group := m.blockParts(r, c)
			q := p.q[r*p.stored:][c:min(c+kernels.PackBlock, p.stored)]
			if t == P8 {
				store8(data, scale, q, p.scales[r][b])
			} else {
				p.blocks[r][b].store(data, scale, group, q)
			}
		}
	}
	return e, nil
}

// Nearest returns what Pack would if it rounded to nearest, as the function Pack does,
// and if it made all weights 0: the sum that errors are relative to.
func (p *Packer) Nearest(t Type, src []float32) (nearest, all float64, err error) {
	if err := p.scale(t, src, p.even); err != nil {
		return 0, 0, err
	}
	return p.round(t, src, toNearest), p.round(t, src, toZero), nil
}

// scale chooses the scales of the rows; errors of columns count weight.
func (p *Packer) scale(t Type, src, weight []float32) error {
	for r := range tile {
		if err := p.scaleRow(t, r, src, weight); err != nil {
			return fmt.Errorf("row %d: %w", r, err)
		}
	}
	return nil
}

func (p *Packer) scaleRow(t Type, r int, src, weight []float32) error {
	copy(p.row, src[r*p.c.size:][:p.c.size]) // zeros follow
	step := p.step[r*p.stored:]
	for b, c := 0, 0; c < p.stored; b, c = b+1, c+kernels.PackBlock {
		end := min(c+kernels.PackBlock, p.stored)
		var err error
		if t == P8 {
			p.scales[r][b], err = scale8(p.row[c:end])
		} else {
			err = p.blocks[r][b].fit(p.row[c:end], weight[c:end])
		}
		if err != nil {
			return fmt.Errorf("columns %d to %d: %w", c, end-1, err)
		}
		for i := c; i < end; i++ {
			if t == P8 {
				step[i] = kernels.F16ToF32(p.scales[r][b])
			} else {
				step[i] = p.blocks[r][b].value((i - c) / kernels.PackGroup)
			}
		}
	}
	return nil
}

// round chooses the integers and returns the squared error of the products.
func (p *Packer) round(t Type, src []float32, how rounding) (sum float64) {
	n := p.c.size
	lo, hi := float32(-127), float32(127)
	if t == P4 {
		lo, hi = lowest4, highest4
	}
	if how == toZero {
		lo, hi = 0, 0
	}
	clear(p.rest)
	for i := len(p.c.steps) - 1; i >= 0; i-- {
		s := &p.c.steps[i]
		w := min(compensationWidth, n-s.k)
		clear(p.sums)
		if below := s.below; len(below) > 0 {
			sums, part := p.sums[:tile*w], p.part[:tile*w]
			chunks(s.k+w, p.stored, func(at, n int) {
				kernels.MulF32(part, w, bytesOf(below[:w*n]), p.rest[tile*at:][:tile*n], w, n, tile)
				kernels.Add(sums, sums, part)
				below = below[w*n:]
			})
		}
		for r := range tile {
			for j := w - 1; j >= 0; j-- {
				sum += p.roundOne(s, r, j, w, src, how, lo, hi)
			}
		}
	}
	return sum
}

// roundOne rounds position j of a step of w positions in row r, and returns the square of
// its term of the error.
func (p *Packer) roundOne(s *compensationStep, r, j, w int, src []float32, how rounding, lo, hi float32) float64 {
	n, k := p.c.size, s.k+j
	rest := p.restOf(r, s.k)[:w]
	sum := p.sums[r*w+j]
	for i := j + 1; i < w; i++ {
		sum += float32(rest[i] * s.own[i*w+j])
	}
	col, pivot := p.c.order[k], p.c.pivot[k]
	v, step := src[r*n+col], p.step[r*p.stored+col]
	target, q := v, float32(0)
	if how == compensated {
		target += sum / pivot
	}
	if step != 0 {
		q = nearest(target/step, lo, hi)
	}
	p.q[r*p.stored+col] = int8(q)
	rest[j] = v - float32(q*step)
	e := float64(float32(rest[j]*pivot) + sum)
	return e * e
}

// restOf returns the errors of row r from position k to the end of its chunk.
func (p *Packer) restOf(r, k int) []float32 {
	at := k / compensationChunk * compensationChunk
	n := min(compensationChunk, p.stored-at)
	return p.rest[tile*at+r*n:][k-at : n]
}
