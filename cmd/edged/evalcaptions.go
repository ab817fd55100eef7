package main

import (
	"context"
	"fmt"
	"image"
	"strings"
	"sync"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
)

// publishReport is the result of "edged eval -sim -captions N": what a daemon publishes
// about streams of simulated rooms, in which things happen and in which nothing does.
type publishReport struct {
	Model    string  `json:"model"`
	Streams  int     `json:"streams"`
	Frames   int     `json:"frames"`   // frame sets, of all streams
	Changes  int     `json:"changes"`  // frame sets of which there is something else to say than of the one before
	Captured float64 `json:"captured"` // share of the changes with a caption from that frame set or the next
	Asked    int     `json:"asked"`    // how often the model was asked for a caption; those that said the same again were not published
	Captions int     `json:"captions"`
	Exact    float64 `json:"exact"`   // share of the captions that equal the truth
	Repeats  float64 `json:"repeats"` // share of the captions published though nothing had changed since the last

	// Corrections are the repeats that tell the truth after a caption that did not.
	Corrections float64 `json:"corrections"`

	Gate  float64     `json:"gate"`  // the change of the image state that counts
	Still stillReport `json:"still"` // nothing but the sensors' noise changes
	Light stillReport `json:"light"` // nothing but that and the light
}

// stillReport is about streams in which nothing happens.
type stillReport struct {
	Streams  int `json:"streams"`
	Frames   int `json:"frames"`   // frame sets, of all streams
	Asked    int `json:"asked"`    // how often the model was asked for a caption
	Captions int `json:"captions"` // after the first of each stream
}

// captionTally is what became of one stream, or of all.
type captionTally struct {
	frames, changes, captured, asked      int
	captions, exact, repeats, corrections int
}

func (t *captionTally) plus(o captionTally) {
	t.frames += o.frames
	t.changes += o.changes
	t.captured += o.captured
	t.asked += o.asked
	t.captions += o.captions
	t.exact += o.exact
	t.repeats += o.repeats
	t.corrections += o.corrections
}

// published is one frame set of a stream.
type published struct {
	truth, text string // text is empty when nothing was published
	asked       bool   // the model was asked for a caption
}

// flicker is a camera whose light becomes a tenth brighter and again what it was, by turns.
type flicker struct {
	camera.Source
	n int
}

// lightEvery is how many frame sets the light stays as it is.
const lightEvery = 4

func (f *flicker) Next(ctx context.Context) (camera.Frame, error) {
	frame, err := f.Source.Next(ctx)
	if err != nil {
		return frame, err
	}
	if f.n++; f.n/lightEvery%2 == 1 {
		pix := frame.Image.(*image.RGBA).Pix
		for i, v := range pix {
			pix[i] = uint8(min(int(v)*11/10, 255)) // opaque stays opaque
		}
	}
	return frame, nil
}

// captionsOf watches a room for so many frame sets, none of them overtaken by a newer one,
// as edged run watches one unless it is told otherwise, and returns what was published.
func (e *evaluation) captionsOf(ctx context.Context, room *sim.Room, frames int, light bool) (all []published, err error) {
	views := room.Views()
	for i := range views {
		if light {
			views[i].Source = &flicker{Source: views[i].Source}
		}
	}
	// unseen notes the frame sets up to n, whose number is that of the instant, that the
	// gate kept from the model.
	unseen := func(n uint64) {
		for i := uint64(len(all)); i < n; i++ {
			truth, _ := room.Truth(i)
			all = append(all, published{truth: truth})
		}
	}
	d, err := edge.New(edge.Config{Model: edge.VLM(e.model), Scenes: []edge.Scene{{
		Views: views, LockStep: true, Frames: uint64(frames), Gate: edge.Gate{State: e.gate, Idle: config.DefaultIdle},
		Observe: func(s *edge.Step) {
			unseen(s.Set.Seq())
			var p published
			p.truth, _ = room.Truth(s.Set.Seq())
			p.asked = s.Text != ""
			if s.New {
				p.text = s.Text
			}
			all = append(all, p)
		},
	}}})
	if err != nil {
		return nil, err
	}
	if err := d.Run(ctx); err != nil {
		return nil, err
	}
	unseen(uint64(frames))
	return all, ctx.Err()
}

// score counts in a stream.
func score(all []published) captionTally {
	t := captionTally{frames: len(all)}
	last := -1 // frame set of the newest caption
	for i, p := range all {
		if i > 0 && p.truth != all[i-1].truth {
			t.changes++
			if p.text != "" || i+1 < len(all) && all[i+1].text != "" {
				t.captured++
			}
		}
		if p.asked {
			t.asked++
		}
		if p.text == "" {
			continue
		}
		t.captions++
		_, _, exact := sim.Score(p.text, p.truth)
		if exact {
			t.exact++
		}
		if last >= 0 && !changedSince(all, last, i) {
			t.repeats++
			if _, _, before := sim.Score(all[last].text, all[last].truth); exact && !before {
				t.corrections++
			}
		}
		last = i
	}
	return t
}

// changedSince reports whether there was something else to say at any time after frame set
// from, up to frame set to.
func changedSince(all []published, from, to int) bool {
	for i := from + 1; i <= to; i++ {
		if all[i].truth != all[i-1].truth {
			return true
		}
	}
	return false
}

// publish evaluates what is published.
func (e *evaluation) publish(ctx context.Context) (*publishReport, error) {
	n := e.clips
	if n == 0 {
		n = 16
	}
	var mu sync.Mutex
	var all captionTally
	r := &publishReport{Model: e.model.Info().Name, Streams: n, Gate: e.gate}
	err := e.each(ctx, "stream", n, func(ctx context.Context, _ *viewer, i int) error {
		got, err := e.captionsOf(ctx, sim.NewRoom(e.seed+uint64(i), e.views, 0, false), e.published, false)
		mu.Lock()
		defer mu.Unlock()
		all.plus(score(got))
		return err
	})
	if err != nil {
		return nil, err
	}
	err = e.each(ctx, "still stream", 2*n, func(ctx context.Context, _ *viewer, i int) error {
		still, light := &r.Still, i >= n
		if light {
			still = &r.Light
		}
		room := sim.NewRoom(e.seed+uint64(i%n), e.views, 0, false)
		room.Hold()
		got, err := e.captionsOf(ctx, room, e.published, light)
		mu.Lock()
		defer mu.Unlock()
		t := score(got)
		still.Streams++
		still.Frames += t.frames
		still.Asked += t.asked
		still.Captions += max(t.captions-1, 0)
		return err
	})
	r.Asked = all.asked
	r.Frames, r.Changes, r.Captions = all.frames, all.changes, all.captions
	r.Captured = share{all.captured, all.changes}.fraction()
	r.Exact = share{all.exact, all.captions}.fraction()
	r.Repeats = share{all.repeats, all.captions}.fraction()
	r.Corrections = share{all.corrections, all.captions}.fraction()
	return r, err
}

// String is the report for people.
func (r *publishReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d streams, %d frame sets, %d changes\n\n", r.Model, r.Streams, r.Frames, r.Changes)
	fmt.Fprintf(&b, "  changes with a caption within two frame sets  %5.1f %%\n", 100*r.Captured)
	fmt.Fprintf(&b, "  captions                                      %5d, the model was asked for %d\n", r.Captions, r.Asked)
	fmt.Fprintf(&b, "  of these exact                                %5.1f %%\n", 100*r.Exact)
	fmt.Fprintf(&b, "  of these without a change                     %5.1f %%, %.1f %% put an error right\n", 100*r.Repeats, 100*r.Corrections)
	fmt.Fprintf(&b, "  captions of %d frame sets of still rooms     %5d, after the first of each; the model was asked for %d\n", r.Still.Frames, r.Still.Captions, r.Still.Asked)
	fmt.Fprintf(&b, "  the same with a light that changes            %5d; the model was asked for %d\n", r.Light.Captions, r.Light.Asked)
	return b.String()
}
