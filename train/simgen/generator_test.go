package main

import (
	"io"
	"testing"
)

// BenchmarkSegment measures views per second of one core.
func BenchmarkSegment(b *testing.B) {
	g, err := newGenerator(options{seed: 1, split: "train", streams: 8, views: 2, size: 96, grid: 8, questions: 4, longest: 400, short: 0.5, life: 8})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := g.segment(io.Discard, 4); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*64)/b.Elapsed().Seconds(), "views/s")
}
