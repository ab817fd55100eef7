package verify

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/weights"
)

// ints reads a vector of token ids.
func (g *golden) ints(name string) ([]int, error) {
	t := g.f.Lookup(name)
	if t == nil || len(t.Shape) != 1 || t.Type != weights.I64 {
		return nil, fmt.Errorf("tensor %s: missing, or not a vector of I64: %w", name, ErrIndex)
	}
	data, err := t.Data()
	if err != nil {
		return nil, err
	}
	g.used[name] = true
	ids := make([]int, t.Len())
	for i := range ids {
		v := int64(binary.LittleEndian.Uint64(data[8*i:]))
		if v < 0 && v != imageTokenV60 || v > 1<<20 {
			return nil, fmt.Errorf("tensor %s: id %d: %w", name, v, ErrIndex)
		}
		ids[i] = int(v)
	}
	return ids, nil
}

// prompt is the reference prompt with its image tokens.
func (m *model) prompt(p *pictures) decoder.Prompt {
	return decoder.Prompt{IDs: p.ids, ImageID: m.hyper.ImageToken, Rows: p.rows}
}

// logitsLast prefills the prompt against an image state.
func (m *model) logitsLast(p *pictures, image []float32) ([]float32, error) {
	logits := make([]float32, m.dec.Vocab())
	err := m.dec.Prefill(m.r.ctx, m.work, m.dec.NewState(), image, m.prompt(p), logits)
	return logits, err
}

// positions are the values at every position of a prompt.
type positions struct {
	embeds []float32 // [n, C]: what goes into block 0
	hidden []float32 // [n, C]: after the final norm
	logits []float32 // [n, V]
}

// last returns the logits at the last position.
func (m *model) last(p *positions) []float32 { return p.logits[len(p.logits)-m.dec.Vocab():] }

// all runs a prompt and keeps every position. images has one image state for
// all blocks, nil in models that read none, or one per block.
func (m *model) all(p decoder.Prompt, s *rwkv.State, images ...[]float32) (*positions, error) {
	c, n := m.dec.Dims().C, len(p.IDs)
	out := &positions{embeds: make([]float32, n*c)}
	rows := p.Rows
	for i, id := range p.IDs {
		dst := part(out.embeds, i, n)
		if id == p.ImageID {
			if len(rows) < c {
				return nil, fmt.Errorf("more image placeholders than image tokens: %w", ErrIndex)
			}
			copy(dst, rows)
			rows = rows[c:]
		} else if err := m.dec.Embed(dst, id); err != nil {
			return nil, err
		}
	}
	out.hidden = slices.Clone(out.embeds)
	for x := out.hidden; len(x) > 0; {
		k := min(len(x)/c, rwkv.MaxRows)
		for i, b := range m.dec.Blocks() {
			if err := m.r.ctx.Err(); err != nil {
				return nil, err
			}
			seg := rwkv.Seg{N: k, State: s, Image: images[min(i, len(images)-1)]}
			b.Forward(m.work, x[:k*c], []rwkv.Seg{seg})
		}
		x = x[k*c:]
	}
	out.logits = make([]float32, n*m.dec.Vocab())
	m.dec.Logits(m.work, out.logits, out.hidden, n)
	return out, nil
}

func (m *model) checkDecoder(g *golden, p *pictures) error {
	s := m.dec.NewState()
	var out *positions
	values, err := m.trace(func() (err error) {
		out, err = m.all(m.prompt(p), s, p.image)
		return err
	})
	if err != nil {
		return err
	}
	if err := g.check("dec.embeds", out.embeds); err != nil {
		return err
	}
	for _, name := range sortedKeys(values) {
		if err := g.check("dec."+name, values[name]); err != nil {
			return err
		}
	}
	if err := g.check("dec.ln_out", out.hidden); err != nil {
		return err
	}
	if err := g.check("dec.logits", out.logits); err != nil {
		return err
	}
	return g.checkState("dec.state.", s, len(m.dec.Blocks()))
}

func (m *model) checkGeneration(g *golden, p *pictures) error { return m.generate(g, p, "gen.") }

// generate decodes greedily, by the path the runtime takes.
func (m *model) generate(g *golden, p *pictures, prefix string) error {
	if !g.has(prefix + "tokens") {
		return nil
	}
	want, err := g.ints(prefix + "tokens")
	if err != nil {
		return err
	}
	s, logits := m.dec.NewState(), make([]float32, m.dec.Vocab())
	if err := m.dec.Prefill(m.r.ctx, m.work, s, p.image, m.prompt(p), logits); err != nil {
		return err
	}
	var all []float32
	differ := 0
	for i, id := range want {
		all = append(all, logits...)
		got := decoder.Argmax(logits)
		if got != id {
			differ++
		}
		if i == len(want)-1 {
			break
		}
		seq := []decoder.Seq{{State: s, Image: p.image, Token: got, Logits: logits}}
		if err := m.dec.Step(m.r.ctx, m.work, seq, nil); err != nil {
			return err
		}
	}
	m.r.row(g.config, prefix+"tokens", float64(differ), 0)
	return g.check(prefix+"logits", all)
}

func (m *model) checkZeroState(g *golden, p *pictures) error {
	if !g.has("zero_state.logits_last") {
		return nil
	}
	logits, err := m.logitsLast(p, nil)
	if err != nil {
		return err
	}
	return g.check("zero_state.logits_last", logits)
}

// checkNoFill is the form in which the image tokens reach the decoder through
// the image state only; placeholders keep their embedding.
func (m *model) checkNoFill(g *golden, p *pictures) error {
	if !g.has("nofill.logits") {
		return nil
	}
	q := m.prompt(p)
	q.ImageID = -1
	out, err := m.all(q, m.dec.NewState(), p.image)
	if err != nil {
		return err
	}
	if err := g.check("nofill.dec.embeds", out.embeds); err != nil {
		return err
	}
	return g.check("nofill.logits", out.logits)
}

// checkBatch packs samples of different sizes as training does: a sample of
// one picture and one of the rest, left-padded with zeros to the length that
// the larger takes; a sample is pooled only when it is longer than that.
func (m *model) checkBatch(g *golden, p *pictures) error {
	if m.enc == nil || !g.has("batch.in_features") || !g.has("batch.packed") {
		return nil
	}
	feats, shape, err := g.floats("batch.in_features", -1, p.grid*p.grid, p.dv)
	if err != nil {
		return err
	}
	c := m.dec.Dims().C
	length := g.f.Lookup("batch.packed").Shape
	if len(length) != 3 || length[2] != c || length[0] < 1 || length[0] > shape[0] {
		return fmt.Errorf("tensor batch.packed: shape %v: %w", length, ErrIndex)
	}
	samples, rows := length[0], length[1]
	largest := shape[0] - (samples - 1)
	side := p.grid
	for largest*side*side > rows && side > 1 {
		side--
	}
	full := make([]float32, shape[0]*p.grid*p.grid*c)
	m.proj.Project(m.vision, full, feats, shape[0]*p.grid*p.grid)
	packed := make([]float32, samples*rows*c)
	var states []float32
	for i := range samples {
		n := 1
		if i == samples-1 {
			n = largest
		}
		own := full[:n*p.grid*p.grid*c]
		full = full[len(own):]
		if len(own) > rows*c {
			own = m.pool(own, n, p.grid, side)
		}
		dst := part(packed, i, samples)
		if len(own) > len(dst) {
			return fmt.Errorf("tensor batch.packed: shape %v does not hold %d pictures: %w", length, n, ErrIndex)
		}
		copy(dst[len(dst)-len(own):], own)
		s := m.enc.NewState()
		if err := m.enc.Feed(m.r.ctx, m.work, s, slices.Clone(dst)); err != nil {
			return err
		}
		states = append(states, m.enc.Image(s)...)
	}
	if err := g.check("batch.packed", packed); err != nil {
		return err
	}
	return g.check("batch.image_state", states)
}

// checkFold is a training option: the packed tokens, left-padded with zeros to
// a multiple of the decoder's blocks, are cut into as many pieces, encoded
// each by itself, and block i reads the state of piece i.
func (m *model) checkFold(g *golden, p *pictures) error {
	for _, name := range []string{"fold_even.", "fold_padded."} {
		if m.enc == nil || !g.has(name+"packed") {
			continue
		}
		c, blocks := m.dec.Dims().C, len(m.dec.Blocks())
		tokens, shape, err := g.floats(name+"packed", -1, c)
		if err != nil {
			return err
		}
		if len(tokens) <= len(p.packed) {
			if err := g.check(name+"packed", p.packed[:len(tokens)]); err != nil {
				return err
			}
		}
		n := (shape[0] + blocks - 1) / blocks * blocks
		padded := make([]float32, n*c)
		copy(padded[len(padded)-len(tokens):], tokens)
		var states [][]float32
		var joined []float32
		for i := range blocks {
			s := m.enc.NewState()
			if err := m.enc.Feed(m.r.ctx, m.work, s, part(padded, i, blocks)); err != nil {
				return err
			}
			states = append(states, m.enc.Image(s))
			joined = append(joined, m.enc.Image(s)...)
		}
		if err := g.check(name+"states", joined); err != nil {
			return err
		}
		out, err := m.all(m.prompt(p), m.dec.NewState(), states...)
		if err != nil {
			return err
		}
		if err := g.check(name+"logits_last", m.last(out)); err != nil {
			return err
		}
	}
	return nil
}
