package rwkv7_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/rwkv7"
	"github.com/visualrwkv/edged/vlm/internal/tinymodel"
)

const prefix = "rwkv."

func newModel(t testing.TB) (*rwkv7.Model, *tinymodel.Model) {
	t.Helper()
	l := tinymodel.New(tinymodel.Spec{Seed: 3, Variant: "rwkv7", L: 3})
	if !rwkv7.Is(l, prefix) {
		t.Fatal("not recognised")
	}
	m, err := rwkv7.New(l, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return m, l
}

func run(t testing.TB, m *rwkv7.Model, w *rwkv7.Work, x []float32, segs ...rwkv.Seg) []float32 {
	t.Helper()
	x = slices.Clone(x)
	if err := m.Forward(context.Background(), w, x, segs); err != nil {
		t.Fatal(err)
	}
	return x
}

func bits(s *rwkv.State) []byte { return s.AppendBinary(nil) }

func TestSequenceEqualsSteps(t *testing.T) {
	m, _ := newModel(t)
	c := m.Dims().C
	const tokens = 23
	x := tinymodel.Normal(1, tokens*c)
	whole := m.NewState()
	want := run(t, m, rwkv7.NewWork(quant.NewScratch(nil), nil), x, rwkv.Seg{N: tokens, State: whole})
	for _, f := range want {
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			t.Fatal("output is not finite")
		}
	}
	pool := quant.NewPool(3)
	defer pool.Close()
	w := rwkv7.NewWork(quant.NewScratch(pool), nil)
	for _, size := range []int{1, 2, 5, 22} {
		s := m.NewState()
		var got []float32
		for at := 0; at < tokens; at += size {
			n := min(size, tokens-at)
			got = append(got, run(t, m, w, x[at*c:(at+n)*c], rwkv.Seg{N: n, State: s})...)
			// What goes on from a saved state must not differ either.
			saved := m.NewState()
			if err := saved.SetBinary(bits(s)); err != nil {
				t.Fatal(err)
			}
			s = saved
		}
		if !slices.Equal(got, want) {
			t.Errorf("pieces of %d tokens: output differs", size)
		}
		if !slices.Equal(bits(s), bits(whole)) {
			t.Errorf("pieces of %d tokens: state differs", size)
		}
	}
}

// Sequences that run together must not know of each other.
func TestBatchEqualsAlone(t *testing.T) {
	m, _ := newModel(t)
	c := m.Dims().C
	w := rwkv7.NewWork(quant.NewScratch(nil), nil)
	var all, want []float32
	var segs []rwkv.Seg
	var alone []*rwkv.State
	for i, n := range []int{1, 7, 3} {
		x := tinymodel.Normal(uint64(i), n*c)
		s := m.NewState()
		run(t, m, w, tinymodel.Normal(9, 2*c), rwkv.Seg{N: 2, State: s})
		segs = append(segs, rwkv.Seg{N: n, State: s.Clone()})
		want = append(want, run(t, m, w, x, rwkv.Seg{N: n, State: s})...)
		all = append(all, x...)
		alone = append(alone, s)
	}
	if got := run(t, m, w, all, segs...); !slices.Equal(got, want) {
		t.Error("output differs")
	}
	for i := range segs {
		if !slices.Equal(bits(segs[i].State), bits(alone[i])) {
			t.Errorf("state %d differs", i)
		}
	}
}

func TestForwardDoesNotAllocate(t *testing.T) {
	m, _ := newModel(t)
	w := rwkv7.NewWork(quant.NewScratch(nil), nil)
	x, logits := tinymodel.Normal(1, m.Dims().C), make([]float32, m.Vocab())
	segs := []rwkv.Seg{{N: 1, State: m.NewState()}}
	step := func() {
		if err := m.Forward(context.Background(), w, x, segs); err != nil {
			t.Fatal(err)
		}
		m.Logits(w, logits, x, 1)
	}
	step()
	if n := testing.AllocsPerRun(10, step); n != 0 {
		t.Errorf("%v allocations per token", n)
	}
}

func TestCancel(t *testing.T) {
	m, _ := newModel(t)
	ctx, cancel := context.WithCancel(context.Background())
	last := -1
	w := rwkv7.NewWork(quant.NewScratch(nil), func(layer int, name string, _ []float32) {
		if last = layer; layer == 1 && name == "ffn" {
			cancel()
		}
	})
	err := m.Forward(ctx, w, tinymodel.Normal(1, m.Dims().C), []rwkv.Seg{{N: 1, State: m.NewState()}})
	if !errors.Is(err, context.Canceled) || last != 1 {
		t.Errorf("error %v after block %d", err, last)
	}
}

func TestMissingTensors(t *testing.T) {
	_, l := newModel(t)
	for i, missing := range l.Tensors {
		c := *l
		c.Tensors = slices.Delete(slices.Clone(l.Tensors), i, i+1)
		_, err := rwkv7.New(&c, prefix)
		if err == nil || !strings.Contains(err.Error(), missing.Name) {
			t.Errorf("without %s: %v", missing.Name, err)
		}
	}
	m, _ := newModel(t)
	for _, id := range []int{-1, m.Vocab()} {
		if err := m.Embed(make([]float32, m.Dims().C), id); err == nil {
			t.Error(fmt.Sprint("token accepted: ", id))
		}
	}
}
