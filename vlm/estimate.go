package vlm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/visualrwkv/edged/internal/procmem"
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/encoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/vision"
)

// Estimate says how long a model will take on this machine, in milliseconds: one block of
// each kind was run, and multiplied.
type Estimate struct {
	Vision  float64 `json:"vision_ms"` // a frame set through towers and projector
	Encode  float64 `json:"encode_ms"` // its image tokens through the state encoder
	Prompt  float64 `json:"prompt_ms"` // a prompt with the image tokens through the decoder
	Token   float64 `json:"token_ms"`  // a token of text
	Tokens  int     `json:"tokens"`    // that a caption is taken to have
	Caption float64 `json:"first_caption_ms"`

	// CPUShare is the part of the processor time it could use that the measurement got: on a
	// machine that does much else the times above are too long. 0 where the system does not say, or
	// it was over too soon to tell.
	CPUShare float64 `json:"cpu_share,omitempty"`
}

const (
	estimateTokens = 32 // of a caption
	estimateText   = 24 // tokens of a prompt beside the image tokens
	estimateRows   = 64 // tokens that are measured together

	// estimateShare is the processor time from which on a share of it means something: of
	// less, one turn of another process is most.
	estimateShare = 100 * time.Millisecond

	// estimateBytes is how many bytes of weights are read for a token: a block that stays in
	// a cache would be faster than the many of a model. A head of many more is cut.
	estimateBytes = 96 << 20
)

// Estimate measures with weights of sizes z whose values are invented, so that nothing is
// read from a disk. That takes about as long as the largest block of each tower, and half a
// second for the rest. views is the number of pictures in a frame set.
func (c Config) Estimate(z *Sizes, views int) (Estimate, error) {
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
	before := procmem.ProcessorsSoFar()
	pool := quant.NewPool(0)
	defer pool.Close()
	g := &gauge{c: c, z: z, l: invented{z}, scratch: quant.NewScratch(pool)}
	e := Estimate{Tokens: estimateTokens}
	e.Vision = float64(views) * (g.towers() + g.projector())
	if c.EncoderBlocks > 0 {
		e.Encode = float64(views*c.EncoderTokens) * g.encoder()
	}
	perToken, step := g.decoder()
	e.Prompt = float64(views*c.pictureTokens()+estimateText) * perToken
	e.Token = step
	e.Caption = e.Vision + e.Encode + e.Prompt + float64(e.Tokens)*e.Token
	if after := procmem.ProcessorsSoFar(); after.Ran-before.Ran >= estimateShare {
		e.CPUShare = after.ShareSince(before)
	}
	return e, g.err
}

// gauge measures parts of a model, in milliseconds, and keeps the first error.
type gauge struct {
	c       Config
	z       *Sizes
	l       quant.Loader
	scratch *quant.Scratch
	err     error
}

// repeat runs f four times, fewer where that would take long: once where once is enough to
// make what it does first, growing buffers, count for nothing.
func (g *gauge) repeat(f func() error) {
	begin := time.Now()
	for i := 0; i < 4 && g.err == nil && (i == 0 || time.Since(begin) < 150*time.Millisecond); i++ {
		g.err = f()
	}
}

// timed returns how long f takes at best.
func (g *gauge) timed(f func() error) float64 {
	best := time.Duration(math.MaxInt64)
	g.repeat(func() error {
		start := time.Now()
		err := f()
		best = min(best, time.Since(start))
		return err
	})
	return best.Seconds() * 1e3
}

// towers is the time of a picture.
func (g *gauge) towers() (ms float64) {
	for _, t := range g.c.Towers {
		n := vision.NamesOf(t.Kind)
		prefix := n.Prefix + n.Blocks
		kinds := map[string][]int{} // SAM has two, told by the window
		for i := range t.FeatureBlock + 1 {
			kind := fmt.Sprint(g.l.Shape(prefix + strconv.Itoa(i) + ".attn.rel_pos_h"))
			kinds[kind] = append(kinds[kind], i)
		}
		around := math.Inf(1)
		for _, blocks := range kinds {
			other, block := g.tower(t, someBlocks{g.l, prefix, blocks[0], 1})
			ms += float64(len(blocks)) * block
			around = min(around, other)
		}
		ms += around
	}
	return ms
}

// tower is the time of a tower's only block, and of what comes before and after it.
func (g *gauge) tower(t Tower, l quant.Loader) (around, block float64) {
	act, err := vision.ParseActivation(t.Activation)
	if g.err = errors.Join(g.err, err); g.err != nil {
		return 0, 0
	}
	tower, err := vision.Open(t.Kind, l, vision.Config{ImageSize: t.ImageSize, Heads: t.Heads, Activation: act})
	if err != nil {
		g.err = err
		return 0, 0
	}
	var embedded, done time.Time
	w := vision.NewWork(g.scratch)
	w.Trace = func(name string, _ []int, _ []float32) {
		switch name {
		case "embed":
			embedded = time.Now()
		case "block0":
			done = time.Now()
		}
	}
	pixels, out := make([]float32, 3*t.ImageSize*t.ImageSize), make([]float32, tower.Tokens()*tower.Dim())
	around, block = math.Inf(1), math.Inf(1)
	g.repeat(func() error {
		start := time.Now()
		tower.Forward(w, out, tower.Dim(), pixels, 1)
		ms := done.Sub(embedded).Seconds() * 1e3
		block, around = min(block, ms), min(around, time.Since(start).Seconds()*1e3-ms)
		return nil
	})
	return around, block
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
	m, err := encoder.New(someBlocks{g.l, encoder.Prefix + "blocks.", 0, 1}, &encoder.Options{Full: true})
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
	short, cut := g.z.shortened(decoder.Prefix+"emb.weight", decoder.Prefix+"head.weight", estimateBytes)
	blocks := decoder.Prefix + "blocks."
	m, err := decoder.New(someBlocks{invented{short}, blocks, 0, g.enough(blocks)}, nil)
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
	head := cut * g.timed(func() error {
		clear(x)
		m.Logits(w, logits, x, 1)
		return nil
	})
	scale := float64(g.c.Blocks) / float64(len(m.Blocks()))
	return scale * run(estimateRows) / estimateRows, scale*run(1) + head
}

// enough is how many of the decoder's blocks have estimateBytes.
func (g *gauge) enough(prefix string) int {
	var bytes float64
	for i := range g.z.list {
		if t := &g.z.list[i]; strings.HasPrefix(t.name, prefix+"0.") {
			bytes += t.bytes()
		}
	}
	return min(g.c.Blocks, 1+int(estimateBytes/max(bytes, 1)))
}

// someBlocks shows n blocks of a stack, from first on, as one of no more.
type someBlocks struct {
	l        quant.Loader
	prefix   string // of the blocks' names
	first, n int
}

// real is the name of what is seen as name; empty where nothing is to be seen.
func (o someBlocks) real(name string) string {
	rest, ok := strings.CutPrefix(name, o.prefix)
	if !ok {
		return name
	}
	number, rest, _ := strings.Cut(rest, ".")
	i, err := strconv.Atoi(number)
	if err != nil || i >= o.n {
		return ""
	}
	return o.prefix + strconv.Itoa(o.first+i) + "." + rest
}

// Matrix implements [quant.Loader].
func (o someBlocks) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	return o.l.Matrix(o.real(name), rows, cols)
}

// Vector implements [quant.Loader].
func (o someBlocks) Vector(name string, n int) ([]float32, error) {
	return o.l.Vector(o.real(name), n)
}

// Shape implements [quant.Loader].
func (o someBlocks) Shape(name string) []int { return o.l.Shape(o.real(name)) }
