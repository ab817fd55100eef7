package decoder_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

func newDecoder(t testing.TB, s tinymodel.Spec) *decoder.Decoder {
	t.Helper()
	d, err := decoder.New(tinymodel.New(s), nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ids(seed uint64, n, vocab int) []int {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]int, n)
	for i := range v {
		v[i] = rng.IntN(vocab - 1)
	}
	return v
}

func TestPrefillEqualsSteps(t *testing.T) {
	ctx := context.Background()
	for _, v := range []string{"vanilla", "hybrid", "cross", "rwkv7"} {
		m := newDecoder(t, tinymodel.Spec{Seed: 3, Variant: v})
		d := m.Dims()
		image := tinymodel.Normal(1, d.StateLen())
		prompt := ids(2, rwkv.MaxRows+17, m.Vocab())
		w := rwkv.NewWork(quant.NewScratch(nil), nil)

		a, want := m.NewState(), make([]float32, m.Vocab())
		if err := m.Prefill(ctx, w, a, image, decoder.Prompt{IDs: prompt, ImageID: -1}, want); err != nil {
			t.Fatal(err)
		}
		b, got := m.NewState(), make([]float32, m.Vocab())
		for _, id := range prompt {
			seq := []decoder.Seq{{State: b, Image: image, Token: id, Logits: got}}
			if err := m.Step(ctx, w, seq, nil); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) || !slices.Equal(a.AppendBinary(nil), b.AppendBinary(nil)) {
			t.Errorf("%s: prompt and steps differ", v)
		}
	}
}

// A shared prefix, copied, must serve several questions; and their answers
// decoded together must equal each alone.
func TestSharedPrefixAndBatch(t *testing.T) {
	ctx := context.Background()
	m := newDecoder(t, tinymodel.Spec{Seed: 4})
	image := tinymodel.Normal(1, m.Dims().StateLen())
	prefix := ids(5, 20, m.Vocab())
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	shared := m.NewState()
	if err := m.Prefill(ctx, w, shared, image, decoder.Prompt{IDs: prefix, ImageID: -1}, nil); err != nil {
		t.Fatal(err)
	}
	const questions, tokens = 3, 6
	var want [questions][]int
	seqs := make([]decoder.Seq, questions)
	for q := range questions {
		tail := ids(uint64(10+q), 4+q, m.Vocab())
		logits := make([]float32, m.Vocab())
		s := m.NewState()
		whole := append(slices.Clone(prefix), tail...)
		if err := m.Prefill(ctx, w, s, image, decoder.Prompt{IDs: whole, ImageID: -1}, logits); err != nil {
			t.Fatal(err)
		}
		for range tokens {
			id := decoder.Argmax(logits)
			want[q] = append(want[q], id)
			if err := m.Step(ctx, w, []decoder.Seq{{State: s, Image: image, Token: id, Logits: logits}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		seqs[q] = decoder.Seq{State: shared.Clone(), Image: image, Logits: make([]float32, m.Vocab())}
		if err := m.Prefill(ctx, w, seqs[q].State, image, decoder.Prompt{IDs: tail, ImageID: -1}, seqs[q].Logits); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]float32, questions*m.Vocab())
	for i := range tokens {
		for q := range seqs {
			seqs[q].Token = decoder.Argmax(seqs[q].Logits)
			if seqs[q].Token != want[q][i] {
				t.Fatalf("question %d, token %d: %d, want %d", q, i, seqs[q].Token, want[q][i])
			}
		}
		if err := m.Step(ctx, w, seqs, out); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageRows(t *testing.T) {
	ctx := context.Background()
	m := newDecoder(t, tinymodel.Spec{Seed: 6})
	c, hole := m.Dims().C, m.Vocab()-1
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	// Rows that are embeddings must act as the tokens themselves.
	prompt := []int{1, hole, hole, 2, hole, 3}
	plain := []int{1, 7, 8, 2, 9, 3}
	var rows []float32
	for _, id := range []int{7, 8, 9, 10} {
		row := make([]float32, c)
		if err := m.Embed(row, id); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row...)
	}
	got, want := make([]float32, m.Vocab()), make([]float32, m.Vocab())
	if err := m.Prefill(ctx, w, m.NewState(), nil, decoder.Prompt{IDs: prompt, ImageID: hole, Rows: rows}, got); err != nil {
		t.Fatal(err)
	}
	if err := m.Prefill(ctx, w, m.NewState(), nil, decoder.Prompt{IDs: plain, ImageID: -1}, want); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("image rows are not where their placeholders are")
	}
	if err := m.Prefill(ctx, w, m.NewState(), nil, decoder.Prompt{IDs: prompt, ImageID: hole, Rows: rows[:2*c]}, got); err == nil {
		t.Error("too few rows accepted")
	}
	if err := m.Prefill(ctx, w, m.NewState(), nil, decoder.Prompt{IDs: []int{m.Vocab()}, ImageID: -1}, got); err == nil {
		t.Error("a token outside the vocabulary was accepted")
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	ctx := context.Background()
	m := newDecoder(t, tinymodel.Spec{Seed: 7, Vocab: 300})
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	logits := make([]float32, m.Vocab())
	seqs := []decoder.Seq{{State: m.NewState(), Token: 1, Logits: logits}}
	for _, s := range []*decoder.Sampler{decoder.NewSampler(m.Vocab(), 0, 0, 0), decoder.NewSampler(m.Vocab(), 0.9, 0.8, 1)} {
		step := func() {
			if err := m.Step(ctx, w, seqs, nil); err != nil {
				t.Fatal(err)
			}
			seqs[0].Token = s.Next(logits)
		}
		step()
		if n := testing.AllocsPerRun(20, step); n != 0 {
			t.Errorf("%v allocations per token", n)
		}
	}
}

func TestCancelBetweenBlocks(t *testing.T) {
	m := newDecoder(t, tinymodel.Spec{L: 4})
	var seen int
	ctx, cancel := context.WithCancel(context.Background())
	w := rwkv.NewWork(quant.NewScratch(nil), func(layer int, name string, _ []float32) {
		if name == "out" {
			seen = layer + 1
			if layer == 1 {
				cancel()
			}
		}
	})
	err := m.Prefill(ctx, w, m.NewState(), nil, decoder.Prompt{IDs: []int{1, 2}, ImageID: -1}, nil)
	if !errors.Is(err, context.Canceled) || seen != 2 {
		t.Errorf("error %v after %d blocks", err, seen)
	}
}

func TestSampler(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	greedy := decoder.NewSampler(4, 0, 0, 0)
	if id := greedy.Next([]float32{nan, 2, 3, 3}); id != 2 {
		t.Errorf("greedy took %d", id)
	}
	for _, logits := range [][]float32{{nan, nan}, {inf, inf}, {nan, inf}} {
		if id := greedy.Next(logits); id != 0 {
			t.Errorf("greedy of %v took %d", logits, id)
		}
		if id := decoder.NewSampler(2, 1, 0.5, 0).Next(logits); id != 0 {
			t.Errorf("sampler of %v took %d", logits, id)
		}
	}

	logits := []float32{float32(math.Log(0.5)), float32(math.Log(0.3)), float32(math.Log(0.15)), float32(math.Log(0.05)), nan}
	for _, c := range []struct {
		temperature, topP float64
		want              [5]float64
	}{
		{1, 1, [5]float64{0.5, 0.3, 0.15, 0.05}},
		{1, 0, [5]float64{0.5, 0.3, 0.15, 0.05}},
		{1, 0.79, [5]float64{0.625, 0.375}},
		{1, 0.81, [5]float64{0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95}},
		{1, 0.01, [5]float64{1}},
		{0.5, 1, [5]float64{0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365}},
	} {
		s := decoder.NewSampler(len(logits), c.temperature, c.topP, 42)
		var got [5]float64
		const n = 20000
		for range n {
			got[s.Next(logits)] += 1. / n
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 0.015 || c.want[i] == 0 && got[i] > 0 {
				t.Errorf("temperature %v, top-p %v: frequencies %.3f, want %.3f", c.temperature, c.topP, got, c.want)
				break
			}
		}
	}
	a, b := decoder.NewSampler(5, 1, 0.9, 7), decoder.NewSampler(5, 1, 0.9, 7)
	for range 50 {
		if a.Next(logits) != b.Next(logits) {
			t.Fatal("the same seed gave different tokens")
		}
	}
}
