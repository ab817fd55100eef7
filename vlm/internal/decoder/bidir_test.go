package decoder_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// Without patches, or with one, there is nothing to turn around.
func TestBidirectional(t *testing.T) {
	ctx := context.Background()
	tiny := tinymodel.New(tinymodel.Spec{Seed: 5, Variant: "vanilla"})
	plain := newDecoder(t, tiny.Spec)
	m, err := decoder.New(tiny, &decoder.Options{Bidirectional: true})
	if err != nil {
		t.Fatal(err)
	}
	c, hole := m.Dims().C, m.Vocab()
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	words := ids(2, rwkv.MaxRows+9, m.Vocab()) // more than blocks take at once
	for _, tokens := range []int{0, 1, 2, 3, rwkv.MaxRows + 3} {
		p := decoder.Prompt{IDs: slices.Clone(words), ImageID: hole, Rows: tinymodel.Normal(uint64(tokens), tokens*c)}
		const at = 4
		for i := range tokens {
			p.IDs[at+i] = hole
		}
		a, want := plain.NewState(), make([]float32, m.Vocab())
		if err := plain.Prefill(ctx, w, a, nil, p, want); err != nil {
			t.Fatal(err)
		}
		s, got := m.NewState(), make([]float32, m.Vocab())
		if err := m.Prefill(ctx, w, s, nil, p, got); err != nil {
			t.Fatal(err)
		}
		same := slices.Equal(got, want) && slices.Equal(s.AppendBinary(nil), a.AppendBinary(nil))
		if patches := tokens - 1; same != (patches < 2) { // the last is the class token
			t.Errorf("%d image tokens: same as one direction: %v", tokens, same)
		}
	}
	for what, p := range map[string]decoder.Prompt{
		"second": {IDs: []int{1, hole, 2, hole}, ImageID: hole, Rows: make([]float32, 2*c)},
		"more":   {IDs: []int{1, hole, hole}, ImageID: hole, Rows: make([]float32, c)},
		"4097":   {IDs: make([]int, decoder.MaxBidirectional+1), ImageID: hole},
	} {
		if err := m.Prefill(ctx, w, m.NewState(), nil, p, nil); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q in %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if err := m.Prefill(ctx, w, m.NewState(), nil, decoder.Prompt{IDs: words, ImageID: hole}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := decoder.New(tinymodel.New(tinymodel.Spec{Variant: "rwkv7"}), &decoder.Options{Bidirectional: true}); !errors.Is(err, rwkv.ErrUnsupported) {
		t.Errorf("bidirectional RWKV-7: %v", err)
	}
}
