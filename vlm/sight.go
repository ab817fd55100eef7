package vlm

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"image"
	"slices"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

// sight turns pictures into image tokens: resize, tower after tower over one
// working memory, pooling, projector. It keeps the tokens of each view's newest
// picture and does not compute those of a picture that did not change. Its
// buffers grow to the largest group of pictures once.
type sight struct {
	m       *Model
	eyes    []eye
	sizes   []resized
	hash    hash.Hash
	sums    []byte // of hash
	scratch *quant.Scratch
	work    *vision.Work
	group   int   // pictures that go through the towers together
	waiting []int // views of those that will
	views   []view

	pixels   []float32 // [group, 3, S, S]: of one tower
	features []float32 // [group, tokens, Dv]: of all towers side by side
	pooled   []float32 // [group, tokens after pooling, Dv]
	rows     []float32 // [group, tokens after pooling, C]
	full     []float32 // [group, G*G, C]
	packed   []float32 // [views, q*q, C]: what the encoder overwrites
}

// eye is a tower and the pixels it wants.
type eye struct {
	vision.Tower
	norm *preprocess.Norm
	size int // index in sight.sizes
}

// resized are pictures of one size, for one or more towers.
type resized struct {
	*preprocess.Square
	size int
	crop bool
	rgb  []uint8 // [group, S, S, 3]
}

// view is the newest picture of a view: the hash of its pixels as all towers see them,
// and its tokens, which depend on nothing else.
type view struct {
	known  bool
	sum    [sha256.Size]byte
	rows   []float32 // for the decoder; none where it reads the image state only
	packed []float32 // [q*q, C]: for the encoder
}

// looked keeps the tokens of every picture that was looked at, for models with the same towers
// and projector that are to look at it one after another. It grows with every picture.
type looked map[[sha256.Size]byte]view

// groupCells is how many cells of the feature grid go through the tower at
// once: enough to fill matrix products, few enough to bound the buffers.
const groupCells = 1024

func newSight(m *Model, scratch *quant.Scratch) (*sight, error) {
	g := m.towers[0].Grid()
	s := &sight{m: m, hash: sha256.New(), scratch: scratch, work: vision.NewWork(scratch), group: max(1, groupCells/(g*g))}
	for i, t := range m.config.Towers {
		norm, err := preprocess.NewNorm(t.Mean, t.Std)
		if err != nil {
			return nil, err
		}
		crop := t.crops()
		k := slices.IndexFunc(s.sizes, func(q resized) bool { return q.size == t.ImageSize && q.crop == crop })
		if k < 0 {
			open := preprocess.NewSquare
			if crop {
				open = preprocess.NewCentre
			}
			sq, err := open(t.ImageSize)
			if err != nil {
				return nil, err
			}
			k = len(s.sizes)
			s.sizes = append(s.sizes, resized{Square: sq, size: t.ImageSize, crop: crop})
		}
		s.eyes = append(s.eyes, eye{m.towers[i], norm, k})
	}
	return s, nil
}

// crops reports whether the tower sees the middle of a picture rather than all of it.
func (t Tower) crops() bool { return t.Kind == "clip" }

func grow[T any](p *[]T, n int) []T {
	if cap(*p) < n {
		*p = make([]T, n)
	}
	*p = (*p)[:n]
	return *p
}

// look brings s.views up to date with the pictures of a frame set.
func (s *sight) look(ctx context.Context, pictures []image.Image) error {
	for len(s.views) < len(pictures) {
		s.views = append(s.views, view{})
	}
	s.waiting = s.waiting[:0]
	for i, p := range pictures {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p == nil {
			return fmt.Errorf("view %d: no picture", i+1)
		}
		sum, err := s.read(len(s.waiting), min(s.group, len(pictures)), p)
		if err != nil {
			return fmt.Errorf("view %d: %w", i+1, err)
		}
		v := &s.views[i]
		if v.known && v.sum == sum {
			continue
		}
		if kept, ok := s.m.looked[sum]; ok {
			*v = view{true, sum, slices.Clone(kept.rows), slices.Clone(kept.packed)}
			continue
		}
		v.known, v.sum = false, sum
		if s.waiting = append(s.waiting, i); len(s.waiting) == s.group {
			if err := s.compute(ctx); err != nil {
				return err
			}
		}
	}
	if len(s.waiting) > 0 {
		return s.compute(ctx)
	}
	return nil
}

// read resizes a picture to all sizes, as the i-th of n that may wait, and returns the
// hash of the results.
func (s *sight) read(i, n int, p image.Image) (sum [sha256.Size]byte, err error) {
	s.hash.Reset()
	for k := range s.sizes {
		q := &s.sizes[k]
		if len(q.rgb) < n*q.Bytes() {
			q.rgb = make([]uint8, n*q.Bytes())
		}
		rgb := q.rgb[i*q.Bytes():][:q.Bytes()]
		if err := q.RGB(rgb, p); err != nil {
			return sum, err
		}
		s.hash.Write(rgb)
	}
	s.sums = s.hash.Sum(s.sums[:0])
	return [sha256.Size]byte(s.sums), nil
}

// compute makes the tokens of the pictures that wait. When ctx ends, products end between
// two strips, and what they gave is of no use.
func (s *sight) compute(ctx context.Context) error {
	s.scratch.Until(ctx.Done())
	defer s.scratch.Until(nil)
	m, n := s.m, len(s.waiting)
	features := grow(&s.features, n*m.towers[0].Tokens()*m.proj.In())
	at := 0
	for _, e := range s.eyes {
		q := &s.sizes[e.size]
		pixels := grow(&s.pixels, n*q.Bytes())
		for i := range n {
			e.norm.Planar(part(pixels, i, n), q.rgb[i*q.Bytes():][:q.Bytes()])
		}
		e.Forward(s.work, features[at:], m.proj.In(), pixels, n)
		at += e.Dim()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if !m.config.StateOnly {
		s.forDecoder(n)
	}
	if m.enc != nil {
		s.forEncoder(n)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, i := range s.waiting {
		v := &s.views[i]
		v.known = true
		if m.looked != nil {
			m.looked[v.sum] = view{true, v.sum, slices.Clone(v.rows), slices.Clone(v.packed)}
		}
	}
	s.waiting = s.waiting[:0]
	return nil
}

// forDecoder pools the features of n pictures, then projects them. What is no cell of the
// grid, CLIP's class token, is not pooled.
func (s *sight) forDecoder(n int) {
	m := s.m
	g, tokens, dv, c := m.towers[0].Grid(), m.towers[0].Tokens(), m.proj.In(), m.dec.Dims().C
	p := vision.Side(m.config.DecoderTokens)
	each := p*p + tokens - g*g
	pooled := grow(&s.pooled, n*each*dv)
	for i := range n {
		dst, src := part(pooled, i, n), part(s.features, i, n)
		vision.Pool(dst[:p*p*dv], src[:g*g*dv], g, p, dv)
		copy(dst[p*p*dv:], src[g*g*dv:])
	}
	rows := grow(&s.rows, n*each*c)
	m.proj.Project(s.work, rows, pooled, n*each)
	for i, v := range s.waiting {
		copy(grow(&s.views[v].rows, each*c), part(rows, i, n))
	}
}

// forEncoder projects the features of n pictures, then pools them.
func (s *sight) forEncoder(n int) {
	m := s.m
	g, c := m.towers[0].Grid(), m.dec.Dims().C
	full := grow(&s.full, n*g*g*c)
	m.proj.Project(s.work, full, s.features, n*g*g)
	q := vision.Side(m.config.EncoderTokens)
	for i, v := range s.waiting {
		vision.Pool(grow(&s.views[v].packed, q*q*c), part(full, i, n), g, q, c)
	}
}

// encoderTokens returns the tokens of views from to to-1 for the encoder, which may
// overwrite them.
func (s *sight) encoderTokens(from, to int) []float32 {
	n := len(s.views[from].packed)
	packed := grow(&s.packed, (to-from)*n)
	for i := from; i < to; i++ {
		copy(packed[(i-from)*n:], s.views[i].packed)
	}
	return packed
}

// part returns the i-th of n equal parts.
func part[T any](v []T, i, n int) []T {
	size := len(v) / n
	return v[i*size : (i+1)*size]
}
