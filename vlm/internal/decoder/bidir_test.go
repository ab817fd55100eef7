package decoder_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/tinymodel"
)

// Without patches, or with one, there is nothing to turn around.
func TestBidirectional(t *testing.T) {
	ctx := context.Background()
	m := newDecoder(t, tinymodel.Spec{Seed: 5, Variant: "vanilla"})
	c := m.Dims().C
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	prompt := ids(2, 9, m.Vocab())
	a, want := m.NewState(), make([]float32, m.Vocab())
	if err := m.Prefill(ctx, w, a, nil, decoder.Prompt{IDs: prompt, ImageID: -1}, want); err != nil {
		t.Fatal(err)
	}
	for _, patches := range []int{0, 1, 3} {
		x := make([]float32, len(prompt)*c)
		for i, id := range prompt {
			if err := m.Embed(x[i*c:][:c], id); err != nil {
				t.Fatal(err)
			}
		}
		s, got := m.NewState(), make([]float32, m.Vocab())
		if err := m.PrefillBidirectional(ctx, w, s, x, 4, 4+patches); err != nil {
			t.Fatal(err)
		}
		m.Logits(w, got, x[len(x)-c:], 1)
		same := slices.Equal(got, want) && slices.Equal(s.AppendBinary(nil), a.AppendBinary(nil))
		if same != (patches < 2) {
			t.Errorf("%d patches: same as one direction: %v", patches, same)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if err := m.PrefillBidirectional(ctx, w, m.NewState(), make([]float32, c), 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
