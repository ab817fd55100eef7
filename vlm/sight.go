package vlm

import (
	"context"
	"fmt"
	"image"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

// sight turns pictures into image tokens: resize and normalise, tower,
// projector, pooling. Its buffers grow to the largest group of pictures once.
type sight struct {
	m     *Model
	prep  *preprocess.Square
	work  *vision.Work
	group int // pictures that go through the tower together

	pixels   []float32 // [group, 3, S, S]
	features []float32 // [group, G*G, Dv]
	pooled   []float32 // [group, p*p, Dv]
	rows     []float32 // [group, p*p, C]
	full     []float32 // [group, G*G, C]
	packed   []float32 // [group, q*q, C]
}

// groupCells is how many cells of the feature grid go through the tower at
// once: enough to fill matrix products, few enough to bound the buffers.
const groupCells = 1024

func newSight(m *Model, scratch *quant.Scratch) (*sight, error) {
	t := m.config.Towers[0]
	prep, err := preprocess.NewSquare(t.ImageSize, t.Mean, t.Std)
	if err != nil {
		return nil, err
	}
	g := m.tower.Grid()
	return &sight{m: m, prep: prep, work: vision.NewWork(scratch), group: max(1, groupCells/(g*g))}, nil
}

func grow[T any](p *[]T, n int) []T {
	if cap(*p) < n {
		*p = make([]T, n)
	}
	*p = (*p)[:n]
	return *p
}

// look returns the image tokens of views for the decoder, pooled then
// projected, and for the encoder, projected then pooled; both in the order of
// the views and valid until the next call; nil where the model has no use for
// them. first is the index of views[0], for
// messages.
func (s *sight) look(ctx context.Context, views []image.Image, first int) (rows, packed []float32, err error) {
	m, n := s.m, len(views)
	size, g, dv, c := m.tower.ImageSize(), m.tower.Grid(), m.tower.Dim(), m.dec.Dims().C
	pixels := grow(&s.pixels, n*3*size*size)
	for i, v := range views {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if v == nil {
			return nil, nil, fmt.Errorf("view %d: no picture", first+i+1)
		}
		if err := s.prep.Planar(part(pixels, i, n), v); err != nil {
			return nil, nil, fmt.Errorf("view %d: %w", first+i+1, err)
		}
	}
	features := grow(&s.features, n*g*g*dv)
	m.tower.Forward(s.work, features, dv, pixels, n)
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}

	if !m.config.StateOnly {
		p := vision.Side(m.config.DecoderTokens)
		pooled := grow(&s.pooled, n*p*p*dv)
		for i := range n {
			vision.Pool(part(pooled, i, n), part(features, i, n), g, p, dv)
		}
		rows = grow(&s.rows, n*p*p*c)
		m.proj.Project(s.work, rows, pooled, n*p*p)
	}
	if m.enc == nil {
		return rows, nil, nil
	}
	full := grow(&s.full, n*g*g*c)
	m.proj.Project(s.work, full, features, n*g*g)
	q := vision.Side(m.config.EncoderTokens)
	packed = grow(&s.packed, n*q*q*c)
	for i := range n {
		vision.Pool(part(packed, i, n), part(full, i, n), g, q, c)
	}
	return rows, packed, nil
}

// part returns the i-th of n equal parts.
func part(v []float32, i, n int) []float32 {
	size := len(v) / n
	return v[i*size : (i+1)*size]
}
