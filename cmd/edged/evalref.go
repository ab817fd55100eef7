package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

// refResult compares the next-token distributions of two files of one model.
type refResult struct {
	KLMean float64 `json:"kl_mean"` // Kullback-Leibler divergence from the reference, nats
	KLMax  float64 `json:"kl_max"`
	Top1   float64 `json:"top1"` // fraction of positions with the same most likely token
	Tokens int     `json:"tokens"`
}

// refFrames and refTokens bound the comparison: frame sets shown, and tokens
// of each answer.
const (
	refFrames = 8
	refTokens = 48
)

// refQuestions are asked besides the model's own question for a caption. A
// vocabulary that does not cover one leaves it out.
var refQuestions = []string{
	"What is in the picture?",
	"What changed?",
	"how many objects are there?",
	"what left the room?",
	"Describe the colors.",
}

// evalRef measures how far model is from ref, a file of the same model in more
// digits, on pictures of the folder source, or on patterns made here. Both see
// the same frame sets and follow the tokens that ref finds most likely.
func evalRef(ctx context.Context, ref, model, source string, asJSON bool, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintln(stderr, "edged eval:", err)
		return exitInput
	}
	a, err := openModel(ref, nil)
	if err != nil {
		return fail(err)
	}
	defer a.Close()
	b, err := openModel(model, nil)
	if err != nil {
		return fail(err)
	}
	defer b.Close()
	if ca, cb := a.Config(), b.Config(); ca.Vocab != cb.Vocab || ca.DecoderTokens != cb.DecoderTokens || !slices.Equal(ca.Tokens, cb.Tokens) {
		return fail(fmt.Errorf("%s and %s are not the same model", ref, model))
	}
	frames, err := refPictures(source, max(a.Config().Views, 1))
	if err != nil {
		return fail(err)
	}
	r, err := compareModels(ctx, a, b, frames)
	if err != nil {
		return fail(err)
	}
	if asJSON {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		_, err = fmt.Fprintf(stdout, "%d tokens: divergence mean %.5f, largest %.5f; same most likely token %.2f %%\n", r.Tokens, r.KLMean, r.KLMax, 100*r.Top1)
	}
	if err != nil {
		return exitFailed
	}
	return exitOK
}

func compareModels(ctx context.Context, a, b *vlm.Model, frames [][]image.Image) (*refResult, error) {
	sa, err := a.NewStream()
	if err != nil {
		return nil, err
	}
	sb, err := b.NewStream()
	if err != nil {
		return nil, err
	}
	r := &refResult{}
	questions := append([]string{a.Config().Caption}, refQuestions...)
	for _, f := range frames {
		if err := errors.Join(sa.See(ctx, f...), sb.See(ctx, f...)); err != nil {
			return nil, err
		}
		for i, q := range questions {
			var want [][]float32
			tokens, err := sa.Follow(ctx, q, nil, refTokens, func(l []float32) { want = append(want, slices.Clone(l)) })
			if err != nil && i > 0 && ctx.Err() == nil {
				continue // not in the vocabulary
			}
			if err != nil {
				return nil, err
			}
			_, err = sb.Follow(ctx, q, tokens, 0, func(l []float32) {
				r.add(want[0], l)
				want = want[1:]
			})
			if err != nil {
				return nil, err
			}
		}
	}
	if r.Tokens == 0 {
		return nil, errors.New("nothing to compare")
	}
	r.KLMean /= float64(r.Tokens)
	r.Top1 /= float64(r.Tokens)
	return r, nil
}

// add compares the logits of one position.
func (r *refResult) add(p, q []float32) {
	lp, lq := logSum(p), logSum(q)
	var kl float64
	for i := range p {
		x := float64(p[i]) - lp
		kl += math.Exp(x) * (x - (float64(q[i]) - lq))
	}
	r.Tokens++
	r.KLMean += kl
	r.KLMax = math.Max(r.KLMax, kl)
	if argmax(p) == argmax(q) {
		r.Top1++
	}
}

// logSum returns the logarithm of the sum of exponentials.
func logSum(l []float32) float64 {
	top := float64(slices.Max(l))
	var sum float64
	for _, v := range l {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

func argmax(l []float32) int {
	best := 0
	for i, v := range l {
		if v > l[best] {
			best = i
		}
	}
	return best
}

// refPictures returns frame sets of views pictures: those of a folder in the
// order of their names, or patterns.
func refPictures(source string, views int) ([][]image.Image, error) {
	if source == "" {
		return patterns(views), nil
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return nil, err
	}
	var all []image.Image
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".png", ".jpg", ".jpeg":
		default:
			continue
		}
		path := filepath.Join(source, e.Name())
		img, err := preprocess.DecodeFile(path, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if all = append(all, img); len(all) == refFrames*views {
			break
		}
	}
	if len(all) < views {
		return nil, fmt.Errorf("%s has %d pictures, want %d at least", source, len(all), views)
	}
	var frames [][]image.Image
	for f := range slices.Chunk(all, views) {
		if len(f) == views {
			frames = append(frames, f)
		}
	}
	return frames, nil
}

// patterns are smooth backgrounds with coloured discs and boxes that move from
// frame set to frame set: nothing a model knows, but nothing it cannot see.
func patterns(views int) [][]image.Image {
	const w, h = 160, 120
	rng := rand.New(rand.NewPCG(1, 2))
	frames := make([][]image.Image, refFrames)
	for t := range frames {
		for range views {
			m := image.NewRGBA(image.Rect(0, 0, w, h))
			r, g, b := rng.IntN(128), rng.IntN(128), rng.IntN(128)
			for y := range h {
				for x := range w {
					m.SetRGBA(x, y, color.RGBA{uint8(r + x/2), uint8(g + y), uint8(b + (x+y)/4), 255})
				}
			}
			for k := range 1 + rng.IntN(4) {
				cx, cy, size := rng.IntN(w), rng.IntN(h), 8+rng.IntN(20)
				c := color.RGBA{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256)), 255}
				for y := -size; y <= size; y++ {
					for x := -size; x <= size; x++ {
						if k%2 == 0 || x*x+y*y <= size*size {
							m.SetRGBA(cx+x, cy+y, c)
						}
					}
				}
			}
			frames[t] = append(frames[t], m)
		}
	}
	return frames
}
