package verify

import (
	"fmt"
	"slices"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/rwkv7"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/vlm/internal/vision"
)

// imageTokenV60 keeps the place of a picture's tokens, all of them, in prompts of v6.0.
const imageTokenV60 = -200

// padMultiple is to what number of tokens the authors' RWKV-7 pads on the left.
const padMultiple = 16

// model7 is an RWKV-7 checkpoint bound to the runtime's own layers.
type model7 struct {
	r      *run
	m      *rwkv7.Model
	work   *rwkv7.Work
	traced map[string][]float32 // while not nil, by "b" layer "." name
}

// rwkv7 checks a model of v7.00, with the authors' padding and without.
func (r *run) rwkv7(name string, c lmConfig) error {
	f, err := r.open(c.Weights...)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := r.golden(name, c.Golden)
	if err != nil {
		return err
	}
	defer g.close(nil)

	l, scratch := tensors.New(f), quant.NewScratch(r.pool)
	m := &model7{r: r}
	if m.m, err = rwkv7.New(l, decoder.Prefix); err != nil {
		return err
	}
	m.work = rwkv7.NewWork(scratch, func(layer int, name string, rows []float32) {
		if m.traced != nil {
			k := fmt.Sprintf("b%d.%s", layer, name)
			m.traced[k] = append(m.traced[k], rows...)
		}
	})
	rows, err := r.project7(g, l, scratch, c.Hyper.DecoderTokens, m.m.Dims().C)
	if err != nil {
		return err
	}
	ids, err := g.ints("in.ids")
	if err != nil {
		return err
	}
	x, err := m.embed(ids, c.Hyper.ImageToken, rows)
	if err != nil {
		return err
	}
	if err := g.check("embeds", x); err != nil {
		return err
	}

	s := m.m.NewState()
	m.traced = map[string][]float32{}
	logits, err := m.logits(s, x)
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(m.traced) {
		if err := g.check(name, m.traced[name]); err != nil {
			return err
		}
	}
	m.traced = nil
	if err := g.check("logits.unpadded", logits); err != nil {
		return err
	}
	if err := r.greedy(g, "gen.tokens", part(logits, len(ids)-1, len(ids)), func(id int) ([]float32, error) {
		next, err := m.embed([]int{id}, -1, nil)
		if err != nil {
			return nil, err
		}
		return m.logits(s, next)
	}); err != nil {
		return err
	}

	if logits, err = m.padded(x, c.Hyper.PadToken); err != nil {
		return err
	}
	if err := g.check("logits.authors_padded", logits); err != nil {
		return err
	}
	return r.greedy(g, "gen.tokens.authors_padded", part(logits, len(ids)-1, len(ids)), func(id int) ([]float32, error) {
		next, err := m.embed([]int{id}, -1, nil)
		if err != nil {
			return nil, err
		}
		x = append(x, next...)
		all, err := m.padded(x, c.Hyper.PadToken)
		return all[max(len(all)-m.m.Vocab(), 0):], err
	})
}

// project7 pools and projects the pictures of g.
func (r *run) project7(g *golden, l quant.Loader, scratch *quant.Scratch, tokens, width int) ([]float32, error) {
	proj, err := vision.OpenProjector(l, -1, width)
	if err != nil {
		return nil, err
	}
	feats, shape, err := g.floats("vit_features", -1, -1, proj.In())
	if err != nil {
		return nil, err
	}
	n, grid, side := shape[0], vision.Side(shape[1]), vision.Side(max(tokens, 0))
	if grid*grid != shape[1] || side < 1 || side > grid {
		return nil, fmt.Errorf("tensor vit_features: shape %v with %d tokens per picture: %w", shape, tokens, ErrIndex)
	}
	pooled := make([]float32, n*side*side*proj.In())
	for i := range n {
		vision.Pool(part(pooled, i, n), part(feats, i, n), grid, side, proj.In())
	}
	rows := make([]float32, n*side*side*width)
	proj.Project(vision.NewWork(scratch), rows, pooled, n*side*side)
	return rows, g.check("proj.features", rows)
}

// embed returns the rows of ids, those of the image token from rows.
func (m *model7) embed(ids []int, image int, rows []float32) ([]float32, error) {
	c := m.m.Dims().C
	x := make([]float32, len(ids)*c)
	for i, id := range ids {
		dst := part(x, i, len(ids))
		if id == image && len(rows) >= c {
			copy(dst, rows)
			rows = rows[c:]
		} else if err := m.m.Embed(dst, id); err != nil {
			return nil, fmt.Errorf("%w: %w", err, ErrIndex)
		}
	}
	return x, nil
}

// logits runs rows x [n, C] from s and returns [n, V].
func (m *model7) logits(s *rwkv.State, x []float32) ([]float32, error) {
	n := len(x) / m.m.Dims().C
	x = slices.Clone(x)
	if err := m.m.Forward(m.r.ctx, m.work, x, []rwkv.Seg{{N: n, State: s}}); err != nil {
		return nil, err
	}
	out := make([]float32, n*m.m.Vocab())
	m.m.Logits(m.work, out, x, n)
	return out, nil
}

// padded is logits from a zero state with the authors' padding before x.
func (m *model7) padded(x []float32, token int) ([]float32, error) {
	c := m.m.Dims().C
	ids := make([]int, (padMultiple-len(x)/c%padMultiple)%padMultiple)
	for i := range ids {
		ids[i] = token
	}
	pads, err := m.embed(ids, -1, nil)
	if err != nil {
		return nil, err
	}
	out, err := m.logits(m.m.NewState(), append(pads, x...))
	return out[min(len(ids)*m.m.Vocab(), len(out)):], err
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
	defer g.close(nil)

	l, scratch := tensors.New(f), quant.NewScratch(r.pool)
	m, err := decoder.New(l, nil)
	if err != nil {
		return err
	}
	if v := m.Variant(); v != rwkv.Vanilla {
		return fmt.Errorf("a model of v6.0 with %v blocks: %w", v, ErrIndex)
	}
	x, from, to, err := r.prompt60(g, l, m, scratch)
	if err != nil {
		return err
	}
	w, s := rwkv.NewWork(scratch, nil), m.NewState()
	if err := m.PrefillBidirectional(r.ctx, w, s, x, from, to); err != nil {
		return err
	}
	n := len(x) / m.Dims().C
	logits := make([]float32, n*m.Vocab())
	m.Logits(w, logits, x, n)
	if err := g.check("logits", logits); err != nil {
		return err
	}
	next := slices.Clone(part(logits, n-1, n))
	return r.greedy(g, "gen.tokens", next, func(id int) ([]float32, error) {
		err := m.Step(r.ctx, w, []decoder.Seq{{State: s, Token: id, Logits: next}}, nil)
		return next, err
	})
}

// prompt60 projects the picture of g, the class token last, and puts it into the prompt.
// Rows from to to-1 of x are the patches.
func (r *run) prompt60(g *golden, l quant.Loader, m *decoder.Decoder, scratch *quant.Scratch) (x []float32, from, to int, err error) {
	c := m.Dims().C
	proj, err := vision.OpenProjector(l, -1, c)
	if err != nil {
		return nil, 0, 0, err
	}
	feats, shape, err := g.floats("clip_last_hidden_state", 1, -1, proj.In())
	if err != nil {
		return nil, 0, 0, err
	}
	feats = append(feats, feats[:proj.In()]...)[proj.In():]
	rows := make([]float32, shape[1]*c)
	proj.Project(vision.NewWork(scratch), rows, feats, shape[1])
	if err := g.check("image_tokens", rows); err != nil {
		return nil, 0, 0, err
	}
	ids, err := g.ints("in.ids")
	if err != nil {
		return nil, 0, 0, err
	}
	from = slices.Index(ids, imageTokenV60)
	if from < 0 {
		return nil, 0, 0, fmt.Errorf("tensor in.ids: no place for a picture: %w", ErrIndex)
	}
	for i, id := range ids {
		if i == from {
			x = append(x, rows...)
			continue
		}
		x = append(x, make([]float32, c)...)
		if err := m.Embed(x[len(x)-c:], id); err != nil {
			return nil, 0, 0, fmt.Errorf("tensor in.ids: %w: %w", err, ErrIndex)
		}
	}
	to = from + shape[1] - 1
	bounds, err := g.ints("img_start_end")
	if err != nil {
		return nil, 0, 0, err
	}
	r.row(g.config, "img_start_end", b2f(!slices.Equal(bounds, []int{from, to})), 0)
	return x, from, to, g.check("embeds", x)
}
