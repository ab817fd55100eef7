package verify

import (
	"fmt"
	"slices"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/encoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/weights"
)

// model is a checkpoint bound to the runtime's own layers.
type model struct {
	r     *run
	hyper hyper
	file  *weights.File
	dec   *decoder.Decoder
	enc   *encoder.Encoder
	proj  *vision.Projector
	seen  []float32 // the features of the config's images, where the model has towers
	side  int       // of the pooled grids: decoder
	eside int       // and encoder

	// traced collects what the blocks of the next computation report, by
	// layer and name.
	traced map[string][]float32
	work   *rwkv.Work
	vision *vision.Work
}

func (r *run) model(h hyper, files ...string) (*model, error) {
	f, err := r.open(files...)
	if err != nil {
		return nil, err
	}
	m := &model{r: r, hyper: h, file: f}
	if err := m.bind(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%v: %w", files, err)
	}
	return m, nil
}

func (m *model) bind() (err error) {
	h, l := m.hyper, tensors.New(m.file)
	if m.dec, err = decoder.New(l, &decoder.Options{LNEps: h.LNEps, GNEps: h.GNEps}); err != nil {
		return err
	}
	if encoder.Count(l) > 0 {
		// Full, since the reference has values that the image state does
		// not depend on.
		if m.enc, err = encoder.New(l, &encoder.Options{Full: true, LNEps: h.LNEps, GNEps: h.GNEps}); err != nil {
			return err
		}
	}
	if m.proj, err = vision.OpenProjector(l, -1, m.dec.Dims().C); err != nil {
		return err
	}
	if h.DecoderTokens < 1 || m.enc != nil && h.EncoderTokens < 1 {
		return fmt.Errorf("image tokens per picture: %d, %d: %w", h.DecoderTokens, h.EncoderTokens, ErrIndex)
	}
	m.side, m.eside = vision.Side(h.DecoderTokens), vision.Side(max(h.EncoderTokens, 0))
	scratch := quant.NewScratch(m.r.pool)
	m.vision = vision.NewWork(scratch)
	m.work = rwkv.NewWork(scratch, func(layer int, name string, rows []float32) {
		if m.traced != nil {
			k := fmt.Sprintf("b%d.%s", layer, name)
			m.traced[k] = append(m.traced[k], rows...)
		}
	})
	return nil
}

func (m *model) close() { m.file.Close() }

// trace collects what f makes the blocks report.
func (m *model) trace(f func() error) (map[string][]float32, error) {
	m.traced = map[string][]float32{}
	err := f()
	t := m.traced
	m.traced = nil
	return t, err
}

// pictures are the features of a config's images, and what became of them.
type pictures struct {
	n, grid, dv int
	features    []float32 // [n, grid*grid, dv]
	full        []float32 // [n, grid*grid, C]: projected
	rows        []float32 // [n*side*side, C]: pooled, then projected, for the decoder
	packed      []float32 // [n*eside*eside, C]: projected, then pooled, for the encoder
	ids         []int

	state *rwkv.State // of the encoder after all pictures
	image []float32   // S_img in it; nil without an encoder
}

// pictures prepares the tokens of all pictures.
func (m *model) pictures(g *golden) (*pictures, error) {
	feats, shape, err := g.floats("vit_features", -1, -1, m.proj.In())
	if err != nil {
		return nil, err
	}
	if m.seen != nil {
		feats = m.seen
	}
	p := &pictures{n: shape[0], grid: vision.Side(shape[1]), dv: shape[2], features: feats}
	if p.grid*p.grid != shape[1] || m.side > p.grid || m.eside > p.grid {
		return nil, fmt.Errorf("tensor vit_features: shape %v with %d and %d tokens per picture: %w", shape, m.side*m.side, m.eside*m.eside, ErrIndex)
	}
	c := m.dec.Dims().C
	cells := p.grid * p.grid
	pooled := make([]float32, p.n*m.side*m.side*p.dv)
	for i := range p.n {
		vision.Pool(part(pooled, i, p.n), part(feats, i, p.n), p.grid, m.side, p.dv)
	}
	p.rows = make([]float32, p.n*m.side*m.side*c)
	m.proj.Project(m.vision, p.rows, pooled, p.n*m.side*m.side)
	p.full = make([]float32, p.n*cells*c)
	m.proj.Project(m.vision, p.full, feats, p.n*cells)
	if m.enc != nil {
		p.packed = m.pool(p.full, p.n, p.grid, m.eside)
	}
	p.ids, err = g.ints("in.ids")
	return p, err
}

// pool averages n grids of projected features to side x side each.
func (m *model) pool(full []float32, n, grid, side int) []float32 {
	c := m.dec.Dims().C
	out := make([]float32, n*side*side*c)
	for i := range n {
		vision.Pool(part(out, i, n), part(full, i, n), grid, side, c)
	}
	return out
}

// part returns the i-th of n equal parts.
func part[T any](v []T, i, n int) []T {
	size := len(v) / n
	return v[i*size : (i+1)*size]
}

func (m *model) checkProjector(g *golden, p *pictures) error {
	if err := g.check("proj.pooled_then_projected", p.rows); err != nil {
		return err
	}
	return g.check("proj.projected_full_grid", p.full)
}

// encode runs the encoder over all pictures in one pass.
func (m *model) encode(p *pictures) error {
	if m.enc == nil {
		return nil
	}
	p.state = m.enc.NewState()
	p.image = m.enc.Image(p.state)
	return m.enc.Feed(m.r.ctx, m.work, p.state, slices.Clone(p.packed))
}

func (m *model) checkEncoder(g *golden, p *pictures) error {
	if m.enc == nil {
		return nil
	}
	if err := g.check("enc.packed", p.packed); err != nil {
		return err
	}
	values, err := m.trace(func() error { return m.encode(p) })
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(values) {
		if err := g.check("enc."+name, values[name]); err != nil {
			return err
		}
	}
	if err := g.checkState("enc.state.", p.state, len(m.enc.Blocks())); err != nil {
		return err
	}
	return g.check("image_state", p.image)
}

// checkState compares the parts of a state, each gathered over the blocks.
func (g *golden) checkState(prefix string, s *rwkv.State, blocks int) error {
	var wkv, att, cross, ffn []float32
	for i := range blocks {
		wkv = append(wkv, s.WKV(i)...)
		a, x, f := s.Shifts(i)
		att, cross, ffn = append(att, a...), append(cross, x...), append(ffn, f...)
	}
	for _, t := range []struct {
		name string
		v    []float32
	}{{"wkv", wkv}, {"shift_att", att}, {"shift_cross", cross}, {"shift_ffn", ffn}} {
		if err := g.check(prefix+t.name, t.v); err != nil {
			return err
		}
	}
	return nil
}

// checkStream feeds picture by picture. The number of views follows from the
// number of frames that the reference has.
func (m *model) checkStream(g *golden, p *pictures) error {
	frames := 0
	for g.has(fmt.Sprintf("stream.after_frame%d.wkv", frames+1)) {
		frames++
	}
	if m.enc == nil || frames == 0 {
		return nil
	}
	if p.n%frames != 0 {
		return fmt.Errorf("%d pictures in %d frames: %w", p.n, frames, ErrIndex)
	}
	views := p.n / frames
	s := m.enc.NewState()
	for i := range p.n {
		if err := m.enc.Feed(m.r.ctx, m.work, s, slices.Clone(part(p.packed, i, p.n))); err != nil {
			return err
		}
		if err := g.checkState(fmt.Sprintf("stream.after_image%d.", i+1), s, len(m.enc.Blocks())); err != nil {
			return err
		}
		if (i+1)%views != 0 {
			continue
		}
		prefix := fmt.Sprintf("stream.after_frame%d.", (i+1)/views)
		if err := g.checkState(prefix, s, len(m.enc.Blocks())); err != nil {
			return err
		}
		if !g.has(prefix + "logits_last") {
			continue
		}
		logits, err := m.logitsLast(p, m.enc.Image(s))
		if err != nil {
			return err
		}
		if err := g.check(prefix+"logits_last", logits); err != nil {
			return err
		}
	}
	return nil
}

// roundTo rounds v as storing it in t does.
func roundTo(t weights.DType, v float32) float32 {
	switch t {
	case weights.F16:
		return kernels.F16ToF32(kernels.F32ToF16(v))
	case weights.BF16:
		return kernels.BF16ToF32(kernels.F32ToBF16(v))
	}
	return v
}
