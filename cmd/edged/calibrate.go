package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/bench/plot"
)

// simulated is the word for simulated rooms where a folder of pictures could be given.
const simulated = "sim"

// Seeds of the rooms of calibration and of the comparison; small ones are left to
// whoever evaluates the result.
const (
	calibrationSeed = 0x63616c6962
	evaluationSeed  = 0x6576616c
)

// Simulated clips of a calibration, and those on which models are compared. Tests replace
// them.
var learnClips, refClips = 256, 100

const (
	probeEvery   = 32 // one of so many simulated clips is one that each matrix is tried on
	learnFrames  = 16 // frame sets of a folder to learn from at most, and as many to compare on
	comparedWith = 1  // seed of the rooms in which the file made is evaluated: that of `edged eval`
)

// calibration is what a quantisation learns from, and what it is measured on.
type calibration struct {
	name    string
	learn   []scene
	probe   []scene // part of learn
	compare []scene // none of them learned from
	clips   int     // of each sort for an evaluation in rooms; 0 for none
}

func newCalibration(source string, views, clips int) (*calibration, error) {
	if source == simulated {
		learn := roomScenes(calibrationSeed, learnClips)
		return &calibration{simulated, learn, learn[:max(1, len(learn)/probeEvery)], roomScenes(evaluationSeed, refClips), clips}, nil
	}
	sets, err := folderSets(source, views, 2*learnFrames)
	if err != nil {
		return nil, err
	}
	if len(sets) < 2 {
		return nil, fmt.Errorf("%s has pictures for %d frame set of %d views, want 2 at least: one to learn from and one to compare on", source, len(sets), views)
	}
	var halves [2][]frameSet
	for i, s := range sets {
		halves[i%2] = append(halves[i%2], s)
	}
	return &calibration{
		filepath.Base(source),
		pictureScenes(halves[0], pictureQuestions),
		pictureScenes(halves[0][:1], pictureQuestions[:1]),
		pictureScenes(halves[1], pictureQuestions),
		0,
	}, nil
}

// divergence returns the function that tells how far a model is from the one that it is
// called with first.
func (c *calibration) divergence() func(ctx context.Context, m *vlm.Model) (float64, error) {
	type answers struct {
		tokens [][]int
		logits [][][]float32
	}
	var original []answers // to the questions of one instant each; nil until the first call has ended
	return func(ctx context.Context, m *vlm.Model) (float64, error) {
		s, err := m.NewStream()
		if err != nil {
			return 0, err
		}
		var r refResult
		var said []answers
		asked := 0
		a := &audience{begin: s.Reset, see: s.See, ask: func(ctx context.Context, questions []string) (err error) {
			questions = orCaption(m, questions)
			if original == nil {
				now := answers{logits: make([][][]float32, len(questions))}
				now.tokens, err = s.Follow(ctx, questions, nil, answerTokens, func(i int, l []float32) { now.logits[i] = append(now.logits[i], slices.Clone(l)) })
				said = append(said, now)
				return err
			}
			want := original[asked]
			at := make([]int, len(questions))
			_, err = s.Follow(ctx, questions, want.tokens, 0, func(i int, l []float32) {
				r.add(want.logits[i][at[i]], l)
				at[i]++
			})
			asked++
			return err
		}}
		for _, scene := range c.probe {
			if err := scene(ctx, a); err != nil {
				return 0, err
			}
		}
		if original == nil {
			original = said
			return 0, nil
		}
		return r.KLMean / float64(max(r.Tokens, 1)), nil
	}
}

// measure compares the file made with the original.
func (c *calibration) measure(ctx context.Context, original, made string, r *vlm.Quantization) error {
	a, err := openModel(original, nil)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := openModel(made, nil)
	if err != nil {
		return err
	}
	defer b.Close()
	kl, err := compareModels(ctx, a, b, c.compare)
	if err != nil {
		return err
	}
	r.KLMean, r.KLMax, r.Top1, r.Tokens = kl.KLMean, kl.KLMax, kl.Top1, kl.Tokens
	if c.clips == 0 {
		return nil
	}
	return c.inRooms(ctx, original, made, r)
}

// inRooms measures what `edged eval -sim` does.
func (c *calibration) inRooms(ctx context.Context, original, made string, r *vlm.Quantization) error {
	var lines [2][]simLine
	for i, path := range []string{original, made} {
		m, err := openModel(path, &vlm.Options{Threads: 1})
		if err != nil {
			return err
		}
		defer m.Close()
		flags := evalFlags{seed: comparedWith, clips: c.clips, views: roomViews, threads: runtime.GOMAXPROCS(0)}
		e := &evaluation{evalFlags: flags, model: m, progress: func(string, int, int) {}}
		report, err := e.short(ctx)
		if err != nil {
			return err
		}
		lines[i] = report.lines()
	}
	for i, l := range lines[0] {
		r.Results = append(r.Results, vlm.QuantizationResult{Name: l.name, Original: l.fraction, Quantized: lines[1][i].fraction})
	}
	return nil
}

// quantizationText is what people want to know of a quantisation.
func quantizationText(r *vlm.Quantization) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %.2f bits per value of its matrices, calibrated on %s\n", r.Type, r.Bits, r.Calibration)
	if r.Tokens > 0 {
		fmt.Fprintf(&b, "next token, of the original: divergence mean %.5f, largest %.4f; same most likely token %.2f %% of %d\n", r.KLMean, r.KLMax, 100*r.Top1, r.Tokens)
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Results) > 0 {
		fmt.Fprintln(t, "\noriginal\tquantised\tdifference\t")
		for _, x := range r.Results {
			fmt.Fprintf(t, "%.1f %%\t%.1f %%\t%+.1f\t  %s\n", 100*x.Original, 100*x.Quantized, 100*(x.Quantized-x.Original), x.Name)
		}
	}
	if len(r.Matrices) > 0 {
		fmt.Fprintln(t, "\ntype\terror\tto nearest\tdivergence\t")
		for _, m := range r.Matrices {
			fmt.Fprintf(t, "%s\t%.2e\t%.2e\t%.2e\t  %s\n", m.Type, m.Error, m.Nearest, m.Divergence, m.Name)
		}
	}
	t.Flush()
	return b.String()
}

// errorChart draws the mean error of the matrices of each layer.
func errorChart(r *vlm.Quantization) *plot.Chart {
	got, nearest := plot.Series{Name: "calibrated"}, plot.Series{Name: "rounded to nearest"}
	var parts []string // of the model, and the number of the first layer
	var layer, part string
	n := 0.0 // matrices in the layer
	for _, m := range r.Matrices {
		if m.Error == 0 && m.Nearest == 0 {
			continue // not measured
		}
		if l := layerOf(m.Name); l != layer || len(got.X) == 0 {
			layer, n = l, 0
			x := float64(len(got.X))
			got.X, nearest.X = append(got.X, x), append(nearest.X, x)
			got.Y, nearest.Y = append(got.Y, 0), append(nearest.Y, 0)
			if p, _, _ := strings.Cut(l, ".blocks."); p != part {
				part = p
				parts = append(parts, fmt.Sprintf("%s from %d", p, int(x)))
			}
		}
		last := len(got.X) - 1
		got.Y[last] = (got.Y[last]*n + m.Error) / (n + 1)
		nearest.Y[last] = (nearest.Y[last]*n + m.Nearest) / (n + 1)
		n++
	}
	return &plot.Chart{
		Title:  fmt.Sprintf("%s, %.2f bits: squared error of products relative to their squares", r.Type, r.Bits),
		X:      "layer: " + strings.Join(parts, ", "),
		Y:      "error, mean of the layer's matrices",
		Series: []plot.Series{nearest, got},
	}
}

// layerOf returns the part of a tensor's name that says to which block it belongs, or
// without blocks to which part of the model.
func layerOf(name string) string {
	before, after, ok := strings.Cut(name, ".blocks.")
	if !ok {
		return strings.TrimSuffix(name, ".weight")[:max(strings.IndexByte(name, '.'), 0)]
	}
	number, _, _ := strings.Cut(after, ".")
	return before + ".blocks." + number
}
