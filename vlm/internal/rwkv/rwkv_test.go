package rwkv_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

var variants = []string{"vanilla", "hybrid", "hybrid-sigmoid", "hybrid-oldest", "cross", "rwkv7"}

// stack binds all decoder blocks of a tiny model.
func stack(t testing.TB, m *tinymodel.Model) []*rwkv.Block {
	t.Helper()
	v, err := rwkv.Detect(m, "rwkv.")
	if err != nil {
		t.Fatal(err)
	}
	if v.String() != m.Spec.Variant {
		t.Fatalf("detected %v, made %s", v, m.Spec.Variant)
	}
	s, err := rwkv.BindStack(m, "rwkv.", v, rwkv.StackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Blocks()
}

func normal(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func run(blocks []*rwkv.Block, w *rwkv.Work, x []float32, segs ...rwkv.Seg) []float32 {
	x = slices.Clone(x)
	for _, b := range blocks {
		b.Forward(w, x, segs)
	}
	return x
}

func bits(s *rwkv.State) []byte { return s.AppendBinary(nil) }

func TestSequenceEqualsSteps(t *testing.T) {
	for _, v := range variants {
		t.Run(v, func(t *testing.T) {
			m := tinymodel.New(tinymodel.Spec{Seed: 7, Variant: v})
			blocks := stack(t, m)
			c := blocks[0].Dims().C
			rng := rand.New(rand.NewPCG(1, 2))
			image := normal(rng, blocks[0].Dims().StateLen())
			const tokens = 23
			x := normal(rng, tokens*c)

			whole := rwkv.NewState(blocks)
			want := run(blocks, rwkv.NewWork(quant.NewScratch(nil), nil), x, rwkv.Seg{N: tokens, State: whole, Image: image})
			for _, f := range want {
				if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
					t.Fatal("output is not finite")
				}
			}
			pool := quant.NewPool(3)
			defer pool.Close()
			w := rwkv.NewWork(quant.NewScratch(pool), nil)
			for _, size := range []int{1, 2, 5, 22} {
				s := rwkv.NewState(blocks)
				var got []float32
				for at := 0; at < tokens; at += size {
					n := min(size, tokens-at)
					got = append(got, run(blocks, w, x[at*c:(at+n)*c], rwkv.Seg{N: n, State: s, Image: image})...)
					// What goes on from a saved state must not differ either.
					saved := rwkv.NewState(blocks)
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
		})
	}
}

// TestForwardStops ends the context within the only block.
func TestForwardStops(t *testing.T) {
	m := tinymodel.New(tinymodel.Spec{Variant: "vanilla", L: 1, Seed: 3})
	s, err := rwkv.BindStack(m, "rwkv.", rwkv.Vanilla, rwkv.StackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pool := quant.NewPool(2)
	defer pool.Close()
	ctx, cancel := context.WithCancel(t.Context())
	reached := map[string]bool{}
	w := rwkv.NewWork(quant.NewScratch(pool), func(_ int, name string, rows []float32) {
		reached[name] = true
		if name == "ln1" {
			cancel()
		}
	})
	c := s.Dims().C
	segs := []rwkv.Seg{{N: 1, State: s.NewState()}}
	if err := s.Forward(ctx, w, normal(rand.New(rand.NewPCG(1, 2)), c), segs); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	moved := func() bool {
		return slices.ContainsFunc(segs[0].State.WKV(0), func(v float32) bool { return v != 0 })
	}
	if !reached["ln1"] || moved() {
		t.Errorf("reached %v; the recurrence went on", reached)
	}
	if err := s.Forward(t.Context(), w, normal(rand.New(rand.NewPCG(1, 2)), c), segs); err != nil || !moved() {
		t.Errorf("after an ended run: %v", err)
	}
}

// Sequences that run together must not know of each other.
func TestBatchEqualsAlone(t *testing.T) {
	for _, v := range variants {
		t.Run(v, func(t *testing.T) {
			m := tinymodel.New(tinymodel.Spec{Seed: 8, Variant: v})
			blocks := stack(t, m)
			d := blocks[0].Dims()
			rng := rand.New(rand.NewPCG(3, 4))
			w := rwkv.NewWork(quant.NewScratch(nil), nil)
			lens := []int{1, 7, 3}
			var all, want []float32
			var segs []rwkv.Seg
			var alone []*rwkv.State
			for _, n := range lens {
				x := normal(rng, n*d.C)
				image := normal(rng, d.StateLen())
				s := rwkv.NewState(blocks)
				run(blocks, w, normal(rng, 2*d.C), rwkv.Seg{N: 2, State: s, Image: image})
				segs = append(segs, rwkv.Seg{N: n, State: s.Clone(), Image: image})
				want = append(want, run(blocks, w, x, rwkv.Seg{N: n, State: s, Image: image})...)
				all = append(all, x...)
				alone = append(alone, s)
			}
			got := run(blocks, w, all, segs...)
			if !slices.Equal(got, want) {
				t.Error("output differs")
			}
			for i := range segs {
				if !slices.Equal(bits(segs[i].State), bits(alone[i])) {
					t.Errorf("state %d differs", i)
				}
			}
		})
	}
}

func TestNilImageIsZero(t *testing.T) {
	for _, v := range variants {
		m := tinymodel.New(tinymodel.Spec{Seed: 9, Variant: v})
		blocks := stack(t, m)
		d := blocks[0].Dims()
		x := normal(rand.New(rand.NewPCG(5, 6)), 3*d.C)
		w := rwkv.NewWork(quant.NewScratch(nil), nil)
		a := run(blocks, w, x, rwkv.Seg{N: 3, State: rwkv.NewState(blocks)})
		b := run(blocks, w, x, rwkv.Seg{N: 3, State: rwkv.NewState(blocks), Image: make([]float32, d.StateLen())})
		if !slices.Equal(a, b) {
			t.Errorf("%s: a nil image state and a zero one differ", v)
		}
		image := normal(rand.New(rand.NewPCG(7, 8)), d.StateLen())
		e := run(blocks, w, x, rwkv.Seg{N: 3, State: rwkv.NewState(blocks), Image: image})
		if reads := v != "vanilla" && v != "rwkv7"; slices.Equal(a, e) == reads {
			t.Errorf("%s: the image state is read: %v", v, !reads)
		}
	}
}

func TestStateBytes(t *testing.T) {
	m := tinymodel.New(tinymodel.Spec{Seed: 10, Variant: "cross"})
	blocks := stack(t, m)
	d := blocks[0].Dims()
	s := rwkv.NewState(blocks)
	if want := 4 * 2 * (d.StateLen() + 3*d.C); s.Size() != want {
		t.Errorf("size %d, want %d", s.Size(), want)
	}
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	run(blocks, w, normal(rand.New(rand.NewPCG(5, 6)), 9*d.C), rwkv.Seg{N: 9, State: s})
	saved := bits(s)
	o := rwkv.NewState(blocks)
	if err := o.SetBinary(saved); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(bits(o), saved) {
		t.Error("restored state differs")
	}
	if err := o.SetBinary(saved[1:]); err == nil {
		t.Error("short state accepted")
	}
	copy(saved[8:], []byte{0, 0, 0xc0, 0x7f})
	if err := o.SetBinary(saved); err == nil {
		t.Error("NaN accepted")
	}
	if !slices.Equal(bits(o), bits(s)) {
		t.Error("refused state was written")
	}
	if m := s.MaxAbs(); !(m > 0) || math.IsInf(float64(m), 0) {
		t.Errorf("largest magnitude %v", m)
	}
	s.WKV(1)[3] = float32(math.NaN())
	if m := s.MaxAbs(); !math.IsInf(float64(m), 1) {
		t.Errorf("largest magnitude of a state with NaN is %v", m)
	}
	s.Reset()
	if s.MaxAbs() != 0 {
		t.Error("reset state is not zero")
	}
}

func TestForwardDoesNotAllocate(t *testing.T) {
	for _, v := range variants {
		m := tinymodel.New(tinymodel.Spec{Seed: 11, Variant: v})
		blocks := stack(t, m)
		d := blocks[0].Dims()
		w := rwkv.NewWork(quant.NewScratch(nil), nil)
		s := rwkv.NewState(blocks)
		x := normal(rand.New(rand.NewPCG(5, 6)), d.C)
		segs := w.Segs(1)
		segs[0] = rwkv.Seg{N: 1, State: s}
		step := func() {
			for _, b := range blocks {
				b.Forward(w, x, segs)
			}
		}
		step()
		if n := testing.AllocsPerRun(10, step); n != 0 {
			t.Errorf("%s: %v allocations per token", v, n)
		}
	}
}

// with returns m plus tensors of the given names, less those named with "-".
func with(m *tinymodel.Model, names ...string) *tinymodel.Model {
	c := *m
	c.Tensors = slices.Clone(m.Tensors)
	for _, n := range names {
		if n[0] == '-' {
			c.Tensors = slices.DeleteFunc(c.Tensors, func(t tinymodel.Tensor) bool { return t.Name == n[1:] })
		} else {
			c.Tensors = append(c.Tensors, tinymodel.Tensor{Name: n, Shape: []int{1}, Data: []float32{0}})
		}
	}
	return &c
}

func TestRefusals(t *testing.T) {
	m := tinymodel.New(tinymodel.Spec{Seed: 12})
	if _, err := rwkv.Detect(with(m, "rwkv.blocks.0.att.time_mix_k", "-rwkv.blocks.0.att.time_maa_w1", "-rwkv.blocks.0.att.mem_read.weight"), "rwkv."); !errors.Is(err, rwkv.ErrUnsupported) {
		t.Errorf("RWKV-5: %v", err)
	}
	if _, err := rwkv.Detect(&tinymodel.Model{}, "rwkv."); err == nil || errors.Is(err, rwkv.ErrUnsupported) {
		t.Errorf("nothing: %v", err)
	}
	for v, m := range map[rwkv.Variant]*tinymodel.Model{rwkv.Hybrid: m, rwkv.RWKV7: tinymodel.New(tinymodel.Spec{Seed: 12, Variant: "rwkv7"})} {
		d, err := rwkv.DimsOf(m, "rwkv.")
		if err != nil {
			t.Fatal(err)
		}
		for _, missing := range m.Tensors {
			name := missing.Name
			var i int
			if n, _ := fmt.Sscanf(name, "rwkv.blocks.%d.", &i); n != 1 {
				continue
			}
			_, err := rwkv.Bind(with(m, "-"+name), "rwkv.", i, d, v, false)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("without %s: %v", name, err)
			}
		}
	}
}
