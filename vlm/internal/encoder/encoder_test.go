package encoder_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/encoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

func TestStreamEqualsPacked(t *testing.T) {
	ctx := context.Background()
	for _, blocks := range []int{1, 2, 3} {
		m := tinymodel.New(tinymodel.Spec{Seed: uint64(blocks), E: blocks})
		e, err := encoder.New(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		full, err := encoder.New(m, &encoder.Options{Full: true})
		if err != nil {
			t.Fatal(err)
		}
		c := e.Dims().C
		const tokens = rwkv.MaxRows*2 + 9
		x := tinymodel.Normal(1, tokens*c)
		w := rwkv.NewWork(quant.NewScratch(nil), nil)

		packed, whole := e.NewState(), full.NewState()
		if err := e.Feed(ctx, w, packed, slices.Clone(x)); err != nil {
			t.Fatal(err)
		}
		if err := full.Feed(ctx, w, whole, slices.Clone(x)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.Image(packed), full.Image(whole)) {
			t.Errorf("%d blocks: leaving out dead work changed the image state", blocks)
		}

		stream := e.NewState()
		rng := rand.New(rand.NewPCG(2, 3))
		for at := 0; at < tokens; {
			n := min(1+rng.IntN(20), tokens-at)
			if err := e.Feed(ctx, w, stream, slices.Clone(x[at*c:(at+n)*c])); err != nil {
				t.Fatal(err)
			}
			at += n
			// A power cut between any two frames.
			saved := stream.AppendBinary(nil)
			stream = e.NewState()
			if err := stream.SetBinary(saved); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(stream.AppendBinary(nil), packed.AppendBinary(nil)) {
			t.Errorf("%d blocks: streamed and packed memories differ", blocks)
		}
	}
}

func TestFeedStops(t *testing.T) {
	m := tinymodel.New(tinymodel.Spec{})
	e, err := encoder.New(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	if err := e.Feed(ctx, w, e.NewState(), tinymodel.Normal(1, e.Dims().C)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := e.Feed(context.Background(), w, e.NewState(), make([]float32, e.Dims().C+1)); err == nil {
		t.Error("a broken row was accepted")
	}
	if _, err := encoder.New(tinymodel.New(tinymodel.Spec{Variant: "vanilla"}), nil); err == nil {
		t.Error("an encoder was made of nothing")
	}
}
