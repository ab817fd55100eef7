package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/visualrwkv/edged/camera/sim"
)

// streamReport is the result of "edged eval -sim -stream N".
type streamReport struct {
	Model     string           `json:"model"`
	Clips     int              `json:"clips"`
	Positions []positionReport `json:"positions"`
}

// positionReport is about the frame sets from-to of the streams, both included,
// counted from 1.
type positionReport struct {
	From      int     `json:"from"`
	To        int     `json:"to"`
	Slots     float64 `json:"slots"`
	Exact     float64 `json:"exact"`
	Questions float64 `json:"questions"`
}

// starts are the first positions of the stretches that are reported.
var starts = []int{1, 2, 21, 51, 101, 200, 401, 1001, 2001, 5001, 10001}

// Captions and questions cost more than looking: after the first stretches one
// position in a few is examined, with a few questions.
const (
	denseUntil       = 20
	every            = 4
	questionsPerLook = 3
)

// streams evaluates long streams by position.
func (e *evaluation) streams(ctx context.Context) (*streamReport, error) {
	n := e.clips
	if n == 0 {
		n = 16
	}
	r := &streamReport{Model: e.model.Info().Name, Clips: n}
	for i, from := range starts {
		to := e.stream
		if i+1 < len(starts) {
			to = min(to, starts[i+1]-1)
		}
		if from <= e.stream {
			r.Positions = append(r.Positions, positionReport{From: from, To: to})
		}
	}
	type sums struct{ slots, exact, questions share }
	results := make([][]sums, n)
	err := e.each(ctx, "stream", n, func(ctx context.Context, v *viewer, i int) error {
		got := make([]sums, len(r.Positions))
		rng := rand.New(rand.NewPCG(e.seed, uint64(i)))
		v.stream.Reset()
		w := sim.NewWorld(sim.BalancedClip(e.seed, i, e.views).Config)
		render := sim.NewRenderer(w.Look(), w.Cameras(), sim.Width, sim.Height)
		at := 0
		for position := 1; position <= e.stream; position++ {
			if position > 1 {
				w.Step()
			}
			if err := v.see(ctx, w, render, e.views); err != nil {
				return err
			}
			for position > r.Positions[at].To {
				at++
			}
			if position > denseUntil && position%every != 0 {
				continue
			}
			var kinds []string
			for range questionsPerLook {
				kinds = append(kinds, sim.Kinds[rng.IntN(len(sim.Kinds))])
			}
			c, err := v.examine(ctx, w, rng, kinds)
			if err != nil {
				return err
			}
			g := &got[at]
			g.slots.plus(c.slots)
			g.exact.add(c.exact)
			for _, s := range c.questions {
				g.questions.plus(s)
			}
		}
		results[i] = got
		return nil
	})
	if err != nil {
		return nil, err
	}
	for p := range r.Positions {
		var s sums
		for _, got := range results {
			s.slots.plus(got[p].slots)
			s.exact.plus(got[p].exact)
			s.questions.plus(got[p].questions)
		}
		q := &r.Positions[p]
		q.Slots, q.Exact, q.Questions = s.slots.fraction(), s.exact.fraction(), s.questions.fraction()
	}
	return r, nil
}

// String is the report as a table.
func (r *streamReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d streams\n\n  frame sets       slots    exact  questions\n", r.Model, r.Clips)
	for _, p := range r.Positions {
		fmt.Fprintf(&b, "  %5d - %-5d  %5.1f %%  %5.1f %%    %5.1f %%\n", p.From, p.To, 100*p.Slots, 100*p.Exact, 100*p.Questions)
	}
	return b.String()
}
