package vlm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/encoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/weights"
)

// Estimate says how long a model will take on this machine, in milliseconds: one block of
// each kind was run, with the model's own weights, and multiplied.
type Estimate struct {
	Vision  float64 `json:"vision_ms"` // a frame set through towers and projector
	Encode  float64 `json:"encode_ms"` // its image tokens through the state encoder
	Prompt  float64 `json:"prompt_ms"` // a prompt with the image tokens through the decoder
	Token   float64 `json:"token_ms"`  // a token of text
	Tokens  int     `json:"tokens"`    // that a caption is taken to have
	Caption float64 `json:"first_caption_ms"`
}

const (
	estimateTokens = 32 // of a caption
	estimateText   = 24 // tokens of a prompt beside the image tokens
	estimateRows   = 64 // tokens that are measured together
)

// Estimate measures for a second or two; on small machines, where a picture takes many, for
// several. views is the number of pictures in a frame set.
func (c Config) Estimate(f *weights.File, views int) (Estimate, error) {
	if err := c.Runnable(); err != nil {
		return Estimate{}, err
	}
	switch {
	case len(c.Towers) == 0:
		return Estimate{}, errors.New("the model has no vision tower")
	case views > c.MaxViews():
		return Estimate{}, fmt.Errorf("frame sets of %d views: the model takes %d at most", views, c.MaxViews())
	}
	kernels.SelfCheck()
	pool := quant.NewPool(0)
	defer pool.Close()
	g := &gauge{c: c, l: tensors.New(f), scratch: quant.NewScratch(pool)}
	e := Estimate{Tokens: estimateTokens}
	e.Vision = float64(views) * (g.towers() + g.projector())
	if c.EncoderBlocks > 0 {
		e.Encode = float64(views*c.EncoderTokens) * g.encoder()
	}
	perToken, step := g.decoder()
	e.Prompt = float64(views*c.pictureTokens()+estimateText) * perToken
	e.Token = step
	e.Caption = e.Vision + e.Encode + e.Prompt + float64(e.Tokens)*e.Token
	return e, g.err
}

// gauge measures parts of a model, in milliseconds, and keeps the first error.
type gauge struct {
	c       Config
	l       quant.Loader
	scratch *quant.Scratch
	err     error
}

// timed runs f once to have its weights in memory, and then again, and returns how long it
// took at best.
func (g *gauge) timed(f func() error) float64 {
	best := time.Duration(0)
	begin := time.Now()
	for i := 0; i < 4 && g.err == nil && (i < 2 || time.Since(begin) < 300*time.Millisecond); i++ {
		start := time.Now()
		g.err = f()
		if d := time.Since(start); i == 1 || i > 1 && d < best {
			best = d
		}
	}
	return best.Seconds() * 1e3
}

// towers is the time of a picture. What comes before and after the blocks is counted with
// each, which is a twentieth of one, a tenth of SAM's.
func (g *gauge) towers() (ms float64) {
	for _, t := range g.c.Towers {
		n := vision.NamesOf(t.Kind)
		prefix := n.Prefix + n.Blocks
		kinds := map[string][]int{} // SAM has two, told by the window
		for i := range t.FeatureBlock + 1 {
			kind := fmt.Sprint(g.l.Shape(prefix + strconv.Itoa(i) + ".attn.rel_pos_h"))
			kinds[kind] = append(kinds[kind], i)
		}
		for _, blocks := range kinds {
			ms += float64(len(blocks)) * g.tower(t, oneBlock{g.l, prefix, blocks[0]})
		}
	}
	return ms
}

func (g *gauge) tower(t Tower, l quant.Loader) float64 {
	act, err := vision.ParseActivation(t.Activation)
	if g.err = errors.Join(g.err, err); g.err != nil {
		return 0
	}
	tower, err := vision.Open(t.Kind, l, vision.Config{ImageSize: t.ImageSize, Heads: t.Heads, Activation: act})
	if err != nil {
		g.err = err
		return 0
	}
	w := vision.NewWork(g.scratch)
	pixels, out := make([]float32, 3*t.ImageSize*t.ImageSize), make([]float32, tower.Tokens()*tower.Dim())
	return g.timed(func() error {
		tower.Forward(w, out, tower.Dim(), pixels, 1)
		return nil
	})
}

// projector is the time of a picture: of what is pooled already, for the decoder, and of all
// cells, for the encoder.
func (g *gauge) projector() float64 {
	rows := 0
	if !g.c.StateOnly {
		rows = g.c.pictureTokens()
	}
	if g.c.EncoderBlocks > 0 {
		rows += g.c.Grid() * g.c.Grid()
	}
	in := 0
	for _, t := range g.c.Towers {
		in += t.features(g.l.Shape)
	}
	p, err := vision.OpenProjector(g.l, in, g.c.Width)
	if g.err = errors.Join(g.err, err); g.err != nil {
		return 0
	}
	w := vision.NewWork(g.scratch)
	z, out := make([]float32, estimateRows*in), make([]float32, estimateRows*g.c.Width)
	ms := g.timed(func() error {
		p.Project(w, out, z, estimateRows)
		return nil
	})
	return ms * float64(rows) / estimateRows
}

// encoder is the time of a token in all blocks.
func (g *gauge) encoder() float64 {
	m, err := encoder.New(oneBlock{g.l, encoder.Prefix + "blocks.", 0}, &encoder.Options{Full: true})
	if g.err = errors.Join(g.err, err); g.err != nil {
		return 0
	}
	w, s := rwkv.NewWork(g.scratch, nil), m.NewState()
	x := make([]float32, estimateRows*m.Dims().C)
	ms := g.timed(func() error {
		clear(x)
		return m.Feed(context.Background(), w, s, x)
	})
	return ms * float64(g.c.EncoderBlocks) / estimateRows
}

// decoder is the time of a token of a prompt, and of a token of text.
func (g *gauge) decoder() (prompt, step float64) {
	m, err := decoder.New(oneBlock{g.l, decoder.Prefix + "blocks.", 0}, nil)
	if g.err = errors.Join(g.err, err); g.err != nil {
		return 0, 0
	}
	w, s := rwkv.NewWork(g.scratch, nil), m.NewState()
	image, logits := make([]float32, m.Dims().StateLen()), make([]float32, m.Vocab())
	run := func(n int) float64 {
		ids := make([]int, n)
		return g.timed(func() error {
			return m.Prefill(context.Background(), w, s, image, decoder.Prompt{IDs: ids, ImageID: -1}, nil)
		})
	}
	x := make([]float32, m.Dims().C)
	head := g.timed(func() error {
		clear(x)
		m.Logits(w, logits, x, 1)
		return nil
	})
	blocks := float64(g.c.Blocks)
	return blocks * run(estimateRows) / estimateRows, blocks*run(1) + head
}

// oneBlock shows a stack of many blocks as one of a single one.
type oneBlock struct {
	l      quant.Loader
	prefix string // of the blocks' names
	block  int
}

// real is the name of what is seen as name; empty where nothing is to be seen.
func (o oneBlock) real(name string) string {
	rest, ok := strings.CutPrefix(name, o.prefix)
	if !ok {
		return name
	}
	if rest, ok = strings.CutPrefix(rest, "0."); !ok {
		return ""
	}
	return o.prefix + strconv.Itoa(o.block) + "." + rest
}

// Matrix implements [quant.Loader].
func (o oneBlock) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	return o.l.Matrix(o.real(name), rows, cols)
}

// Vector implements [quant.Loader].
func (o oneBlock) Vector(name string, n int) ([]float32, error) { return o.l.Vector(o.real(name), n) }

// Shape implements [quant.Loader].
func (o oneBlock) Shape(name string) []int { return o.l.Shape(o.real(name)) }
