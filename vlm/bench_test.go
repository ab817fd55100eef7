package vlm_test

import (
	"context"
	"image"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
)

// demoSize is about the size of the demo model.
var demoSize = tinymodel.Spec{
	Seed: 1, Vocab: 250, H: 2, N: 64, F: 448, L: 3, E: 3,
	Image: 96, Patch: 12, Width: 128, Depth: 4, Heads: 2, MLP: 512, GatedProjector: true,
}

func benchModel(b *testing.B, typ quant.Type) *vlm.Stream {
	b.Helper()
	m, err := vlm.Open(convertTiny(b, demoSize, typ), &vlm.Options{Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	s := stream(b, m)
	see(b, s, 1, 2)
	return s
}

func BenchmarkSee(b *testing.B) {
	for _, typ := range []quant.Type{quant.F32, quant.Q8_0, quant.Q4_0} {
		b.Run(typ.String(), func(b *testing.B) {
			s := benchModel(b, typ)
			views := []image.Image{picture(1), picture(2)}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.See(context.Background(), views...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAnswer decodes 32 tokens, fewer where the answer ends, after a prompt whose pictures are read
// already.
func BenchmarkAnswer(b *testing.B) {
	for _, typ := range []quant.Type{quant.F32, quant.Q8_0, quant.Q4_0} {
		b.Run(typ.String(), func(b *testing.B) {
			s := benchModel(b, typ)
			tokens := 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Follow(context.Background(), []string{"what left the room?"}, nil, 32, func(int, []float32) { tokens++ }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}
