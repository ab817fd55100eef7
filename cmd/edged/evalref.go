package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"slices"

	"github.com/visualrwkv/edged/vlm"
)

// refResult compares the next-token distributions of two files of one model.
type refResult struct {
	KLMean float64 `json:"kl_mean"` // Kullback-Leibler divergence from the reference, nats
	KLMax  float64 `json:"kl_max"`
	Top1   float64 `json:"top1"` // fraction of positions with the same most likely token
	Tokens int     `json:"tokens"`
}

// answerTokens bounds an answer that models are compared on.
const answerTokens = 48

// evalRef measures how far model is from ref, a file of the same model in more
// digits, on pictures of the folder source, in simulated rooms (sim), or on patterns made
// here. Both see the same and follow the tokens that ref finds most likely.
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
	views := viewsOf(a.Config(), source)
	if err := watches(a.Config(), views); err != nil {
		return fail(fmt.Errorf("%s: %w", ref, err))
	}
	scenes, err := refScenes(source, views)
	if err != nil {
		return fail(err)
	}
	r, err := compareModels(ctx, a, b, scenes)
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

func refScenes(source string, views int) ([]scene, error) {
	switch source {
	case "":
		return pictureScenes(patterns(views), pictureQuestions), nil
	case simulated:
		return roomScenes(evaluationSeed, refClips), nil
	}
	sets, err := folderSets(source, views, sceneFrames)
	return pictureScenes(sets, pictureQuestions), err
}

// compareModels compares what a and b expect at each token of the answers that a finds
// most likely.
func compareModels(ctx context.Context, a, b *vlm.Model, scenes []scene) (*refResult, error) {
	sa, err := a.NewStream()
	if err != nil {
		return nil, err
	}
	sb, err := b.NewStream()
	if err != nil {
		return nil, err
	}
	r := &refResult{}
	both := &audience{
		begin: func() { sa.Reset(); sb.Reset() },
		see: func(ctx context.Context, views ...image.Image) error {
			return errors.Join(sa.See(ctx, views...), sb.See(ctx, views...))
		},
		ask: func(ctx context.Context, questions []string) error {
			questions = orCaption(a, questions)
			want := make([][][]float32, len(questions))
			tokens, err := sa.Follow(ctx, questions, nil, answerTokens, func(i int, l []float32) { want[i] = append(want[i], slices.Clone(l)) })
			if err != nil {
				return err
			}
			_, err = sb.Follow(ctx, questions, tokens, 0, func(i int, l []float32) {
				r.add(want[i][0], l)
				want[i] = want[i][1:]
			})
			return err
		},
	}
	for _, scene := range scenes {
		if err := scene(ctx, both); err != nil {
			return nil, err
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
