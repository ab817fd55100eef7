package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/vlm/internal/vision"
)

// imageTokenV60 keeps the place of a picture's tokens, all of them, in prompts of v6.0.
const imageTokenV60 = -200

// padMultiple is to what number of tokens the authors' RWKV-7 pads on the left.
const padMultiple = 16

// rwkv7 checks a model of v7.00, with the authors' padding and without.
func (r *run) rwkv7(name string, c lmConfig) error {
	g, err := r.golden(name, c.Golden)
	if err != nil {
		return err
	}
	defer g.close()
	m, err := r.model(c.Hyper, c.Weights...)
	if err != nil {
		return err
	}
	defer m.close()
	p, err := m.pictures(g)
	if err != nil {
		return err
	}
	if err := g.check("proj.features", p.rows); err != nil {
		return err
	}

	s, prompt := m.dec.NewState(), m.prompt(p)
	var out *positions
	values, err := m.trace(func() (err error) {
		out, err = m.all(prompt, s, nil)
		return err
	})
	if err != nil {
		return err
	}
	if err := g.check("embeds", out.embeds); err != nil {
		return err
	}
	for _, name := range sortedKeys(values) {
		// The reference calls the outputs of the sub-layers b0.att and b0.ffn.
		if err := g.check(strings.TrimSuffix(name, "_out"), values[name]); err != nil {
			return err
		}
	}
	if err := g.check("logits.unpadded", out.logits); err != nil {
		return err
	}
	if err := r.greedy(g, "gen.tokens", m.last(out), func(id int) ([]float32, error) {
		next, err := m.all(decoder.Prompt{IDs: []int{id}, ImageID: -1}, s, nil)
		if err != nil {
			return nil, err
		}
		return m.last(next), nil
	}); err != nil {
		return err
	}

	if out, err = m.padded(prompt, c.Hyper.PadToken); err != nil {
		return err
	}
	if err := g.check("logits.authors_padded", out.logits); err != nil {
		return err
	}
	return r.greedy(g, "gen.tokens.authors_padded", m.last(out), func(id int) ([]float32, error) {
		prompt.IDs = append(prompt.IDs, id)
		next, err := m.padded(prompt, c.Hyper.PadToken)
		if err != nil {
			return nil, err
		}
		return m.last(next), nil
	})
}

// padded runs a prompt from a zero state with the authors' padding before it, and leaves
// out the positions of that.
func (m *model) padded(p decoder.Prompt, token int) (*positions, error) {
	pads := slices.Repeat([]int{token}, (padMultiple-len(p.IDs)%padMultiple)%padMultiple)
	n := len(pads)
	p.IDs = append(pads, p.IDs...)
	out, err := m.all(p, m.dec.NewState(), nil)
	if err != nil {
		return nil, err
	}
	out.logits = out.logits[n*m.dec.Vocab():]
	return out, nil
}

// greedy counts how many tokens differ from those of g: logits choose the first, and step
// returns those that follow a token.
func (r *run) greedy(g *golden, name string, logits []float32, step func(id int) ([]float32, error)) error {
	want, err := g.ints(name)
	if err != nil {
		return err
	}
	differ := 0
	for i, id := range want {
		got := decoder.Argmax(logits)
		if got != id {
			differ++
		}
		if i == len(want)-1 {
			break
		}
		if logits, err = step(got); err != nil {
			return err
		}
	}
	r.row(g.config, name, float64(differ), 0)
	return nil
}

// bidirectional checks a model of v6.0.
func (r *run) bidirectional(name string, c lmConfig) error {
	f, err := r.open(c.Weights...)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := r.golden(name, c.Golden)
	if err != nil {
		return err
	}
	defer g.close()

	l, scratch := tensors.New(f), quant.NewScratch(r.pool)
	m, err := decoder.New(l, &decoder.Options{Bidirectional: true})
	if err != nil {
		return err
	}
	p, err := r.prompt60(g, l, m, scratch)
	if err != nil {
		return err
	}

	// Every position.
	width, n := m.Dims().C, len(p.IDs)
	from := slices.Index(p.IDs, p.ImageID)
	to := from + len(p.Rows)/width - 1
	bounds, err := g.ints("img_start_end")
	if err != nil {
		return err
	}
	r.row(name, "img_start_end", b2f(!slices.Equal(bounds, []int{from, to})), 0)
	x := make([]float32, n*width)
	for i, id := range p.IDs {
		if id == p.ImageID {
			copy(x[i*width:], p.Rows[(i-from)*width:][:width])
		} else if err := m.Embed(part(x, i, n), id); err != nil {
			return fmt.Errorf("tensor in.ids: %w: %w", err, ErrIndex)
		}
	}
	if err := g.check("embeds", x); err != nil {
		return err
	}
	w := rwkv.NewWork(scratch, nil)
	if err := m.ForwardBidirectional(r.ctx, w, m.NewState(), x, from, to); err != nil {
		return err
	}
	logits := make([]float32, n*m.Vocab())
	m.Logits(w, logits, x, n)
	if err := g.check("logits", logits); err != nil {
		return err
	}

	// The path that the runtime takes.
	s, next := m.NewState(), make([]float32, m.Vocab())
	if err := m.Prefill(r.ctx, w, s, nil, p, next); err != nil {
		return err
	}
	return r.greedy(g, "gen.tokens", next, func(id int) ([]float32, error) {
		err := m.Step(r.ctx, w, []decoder.Seq{{State: s, Token: id, Logits: next}}, nil)
		return next, err
	})
}

// prompt60 projects the picture of g, the class token last, and puts it into the prompt,
// with an id that is none of the vocabulary for its tokens.
func (r *run) prompt60(g *golden, l quant.Loader, m *decoder.Decoder, scratch *quant.Scratch) (p decoder.Prompt, err error) {
	proj, err := vision.OpenProjector(l, -1, m.Dims().C)
	if err != nil {
		return p, err
	}
	feats, shape, err := g.floats("clip_last_hidden_state", 1, -1, proj.In())
	if err != nil {
		return p, err
	}
	feats = append(feats, feats[:proj.In()]...)[proj.In():]
	p = decoder.Prompt{ImageID: m.Vocab(), Rows: make([]float32, shape[1]*m.Dims().C)}
	proj.Project(vision.NewWork(scratch), p.Rows, feats, shape[1])
	ids, err := g.ints("in.ids")
	if err != nil {
		return p, err
	}
	at := slices.Index(ids, imageTokenV60)
	if at < 0 {
		return p, fmt.Errorf("tensor in.ids: no place for a picture: %w", ErrIndex)
	}
	p.IDs = slices.Concat(ids[:at], slices.Repeat([]int{p.ImageID}, shape[1]), ids[at+1:])
	return p, g.check("image_tokens", p.Rows)
}
