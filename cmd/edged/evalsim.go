package main

import (
	"context"
	"fmt"
	"image"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/vlm"
)

// viewer shows simulated clips to a stream of its own.
type viewer struct {
	stream *vlm.Stream
	screen *screenings
}

func newViewer(m *vlm.Model) (*viewer, error) {
	s, err := m.NewStream()
	if err != nil {
		return nil, err
	}
	return &viewer{s, newScreenings()}, nil
}

// see shows the present frame set of w to the stream, by the first views of its
// cameras.
func (v *viewer) see(ctx context.Context, w *sim.World, r *sim.Renderer, views int) error {
	return v.stream.See(ctx, v.screen.pictures(w, r, views)...)
}

// watch shows a clip from its frame set number first on, to an empty stream, and
// returns the world at its end. It calls seen, unless that is nil, after each
// frame set.
func (v *viewer) watch(ctx context.Context, c sim.Clip, first, views int, seen func(*sim.World) error) (*sim.World, error) {
	v.stream.Reset()
	return v.screen.play(c, first, views, func(w *sim.World, pictures []image.Image) error {
		if err := v.stream.See(ctx, pictures...); err != nil || seen == nil {
			return err
		}
		return seen(w)
	})
}

// screenings are the pictures of simulated worlds, one frame set at a time.
type screenings struct {
	images  []image.Image
	objects []sim.Object
}

func newScreenings() *screenings {
	s := &screenings{}
	for range sim.Cameras() {
		s.images = append(s.images, image.NewRGBA(image.Rect(0, 0, sim.Width, sim.Height)))
	}
	return s
}

// pictures returns the present frame set of w by the first views of its cameras, valid
// until the next call.
func (s *screenings) pictures(w *sim.World, r *sim.Renderer, views int) []image.Image {
	s.objects = w.Objects(s.objects[:0])
	for i := range views {
		r.Render(s.images[i].(*image.RGBA), i, s.objects, uint64(w.Frame()))
	}
	return s.images[:views]
}

// play calls show with each frame set of a clip from number first on, and returns the
// world at its end.
func (s *screenings) play(c sim.Clip, first, views int, show func(w *sim.World, pictures []image.Image) error) (*sim.World, error) {
	w := sim.NewWorld(c.Config)
	r := sim.NewRenderer(w.Look(), w.Cameras(), sim.Width, sim.Height)
	for f := range c.Frames {
		if f > 0 {
			w.Step()
		}
		if f < first {
			continue
		}
		if err := show(w, s.pictures(w, r, views)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// simReport is the result of "edged eval -sim"; all numbers are fractions.
type simReport struct {
	Model    string             `json:"model"`
	Clips    int                `json:"clips"`
	Caption  captionReport      `json:"caption"`
	Question map[string]float64 `json:"question"` // all, the kinds, and motion_moving
	Asked    map[string]int     `json:"asked"`    // how many questions that were
	Occluded occludedReport     `json:"occluded"`
	Memory   memoryReport       `json:"memory"`
}

type captionReport struct {
	Exact   float64            `json:"exact"`
	Slots   float64            `json:"slots"`
	Objects map[string]float64 `json:"exact_by_objects"`
}

// occludedReport: the colour of objects that the first camera never saw, each asked
// for in every wording.
type occludedReport struct {
	AllViews float64 `json:"all_views"`
	OneView  float64 `json:"one_view"`
	Asked    int     `json:"asked"`
}

// memoryReport: what left and what entered, when something did.
type memoryReport struct {
	State      float64 `json:"state"`
	NewestOnly float64 `json:"newest_only"` // with a state that has seen the last frame set only
	Chance     float64 `json:"chance"`
}

// short evaluates clips of one to four frame sets.
func (e *evaluation) short(ctx context.Context) (*simReport, error) {
	n := e.clips
	if n == 0 {
		n = 400
	}
	r := &simReport{Model: e.model.Info().Name, Clips: n}
	if err := e.captions(ctx, n, r); err != nil {
		return nil, err
	}
	if err := e.moving(ctx, n, r); err != nil {
		return nil, err
	}
	if err := e.hidden(ctx, n, r); err != nil {
		return nil, err
	}
	return r, e.memory(ctx, n, r)
}

// clipResult is what one clip gave: the caption, and questions by kind.
type clipResult struct {
	exact     bool
	slots     share
	objects   int
	questions map[string]share
}

// captions asks for the caption and one question of each kind.
func (e *evaluation) captions(ctx context.Context, n int, r *simReport) error {
	results := make([]clipResult, n)
	err := e.each(ctx, "clip", n, func(ctx context.Context, v *viewer, i int) error {
		w, err := v.watch(ctx, sim.BalancedClip(e.seed, i, e.views), 0, e.views, nil)
		if err != nil {
			return err
		}
		results[i], err = v.examine(ctx, w, rand.New(rand.NewPCG(e.seed, uint64(i))), sim.Kinds)
		return err
	})
	if err != nil {
		return err
	}
	var exact, slots, all share
	kinds, objects := map[string]share{}, map[string]share{}
	for _, c := range results {
		exact.add(c.exact)
		slots.plus(c.slots)
		count(objects, fmt.Sprint(c.objects), c.exact)
		for kind, s := range c.questions {
			k := kinds[kind]
			k.plus(s)
			kinds[kind] = k
			all.plus(s)
		}
	}
	kinds["all"] = all
	r.Caption = captionReport{exact.fraction(), slots.fraction(), fractions(objects)}
	r.Question, r.Asked = fractions(kinds), map[string]int{}
	for kind, s := range kinds {
		r.Asked[kind] = s.total
	}
	return nil
}

// examine compares the caption and the answers to one question of each of the
// kinds with the truth.
func (v *viewer) examine(ctx context.Context, w *sim.World, rng *rand.Rand, kinds []string) (clipResult, error) {
	c := clipResult{objects: len(w.Objects(nil)), questions: map[string]share{}}
	text, err := v.stream.Caption(ctx)
	if err != nil {
		return c, err
	}
	c.slots.right, c.slots.total, c.exact = sim.Score(text, w.Caption())
	var questions []sim.QA
	for _, kind := range kinds {
		if q, ok := w.Ask(rng, kind); ok {
			questions = append(questions, q)
		}
	}
	right, err := v.ask(ctx, questions)
	for i, q := range questions[:len(right)] {
		count(c.questions, q.Kind, right[i])
	}
	return c, err
}

// ask puts questions and says which answers are right.
func (v *viewer) ask(ctx context.Context, questions []sim.QA) (right []bool, err error) {
	text := make([]string, len(questions))
	for i, q := range questions {
		text[i] = q.Question
	}
	answers, err := v.stream.Answers(ctx, text, nil)
	if err != nil {
		return nil, err
	}
	for i, q := range questions {
		right = append(right, answers[i] == q.Answer)
	}
	return right, nil
}

// motionMoving is a kind of its own, which does not count in all. The kind "motion"
// asks about one object of a clip, which seldom moves.
const motionMoving = "motion_moving"

// moving asks how each moving object moves, in every wording, after each frame set.
func (e *evaluation) moving(ctx context.Context, n int, r *simReport) error {
	results := make([]share, n)
	err := e.each(ctx, "moving object", n, func(ctx context.Context, v *viewer, i int) error {
		_, err := v.watch(ctx, sim.MovingClip(e.seed, i, e.views), 0, e.views, func(w *sim.World) error {
			right, err := v.ask(ctx, w.Moving())
			results[i].plus(shareOf(right))
			return err
		})
		return err
	})
	s := sum(results)
	r.Question[motionMoving], r.Asked[motionMoving] = s.fraction(), s.total
	return err
}

// hidden asks for the colours of objects that the first camera never saw.
func (e *evaluation) hidden(ctx context.Context, n int, r *simReport) error {
	all, one := make([]share, n), make([]share, n)
	err := e.each(ctx, "hidden object", n, func(ctx context.Context, v *viewer, i int) error {
		c := sim.HiddenClip(e.seed, i)
		for views, right := range map[int][]share{2: all, 1: one} {
			w, err := v.watch(ctx, c, 0, views, nil)
			if err != nil {
				return err
			}
			var questions []sim.QA
			for _, object := range c.Hidden {
				questions = append(questions, w.Colours(object)...)
			}
			answers, err := v.ask(ctx, questions)
			if err != nil {
				return err
			}
			right[i] = shareOf(answers)
		}
		return nil
	})
	a, o := sum(all), sum(one)
	r.Occluded = occludedReport{AllViews: a.fraction(), OneView: o.fraction(), Asked: a.total}
	return err
}

// memory asks what left or entered.
func (e *evaluation) memory(ctx context.Context, n int, r *simReport) error {
	full, newest := make([]bool, n), make([]bool, n)
	chance := make([]float64, n)
	err := e.each(ctx, "departure or arrival", n, func(ctx context.Context, v *viewer, i int) error {
		c := sim.EventClip(e.seed, i, e.views)
		kind := eventKind(i)
		for first, right := range map[int][]bool{0: full, c.Frames - 1: newest} {
			w, err := v.watch(ctx, c, first, e.views, nil)
			if err != nil {
				return err
			}
			q, _ := w.Ask(rand.New(rand.NewPCG(e.seed, uint64(i))), kind)
			answer, err := v.stream.Answer(ctx, q.Question, nil)
			if err != nil {
				return err
			}
			right[i] = answer == q.Answer
			chance[i] = w.Guess(kind)
		}
		return nil
	})
	r.Memory = memoryReport{State: shareOf(full).fraction(), NewestOnly: shareOf(newest).fraction()}
	for _, p := range chance {
		r.Memory.Chance += p / float64(n)
	}
	return err
}

func count(m map[string]share, key string, ok bool) {
	s := m[key]
	s.add(ok)
	m[key] = s
}

func fractions(m map[string]share) map[string]float64 {
	f := make(map[string]float64, len(m))
	for k, s := range m {
		f[k] = s.fraction()
	}
	return f
}

func shareOf(right []bool) share {
	var s share
	for _, ok := range right {
		s.add(ok)
	}
	return s
}

func sum(shares []share) (all share) {
	for _, s := range shares {
		all.plus(s)
	}
	return all
}

// simLine is a line of a report.
type simLine struct {
	name     string
	fraction float64
}

// lines returns all lines of a report that are about the model, in a fixed order.
func (r *simReport) lines() []simLine {
	all := []simLine{{"caption exact", r.Caption.Exact}, {"caption slots", r.Caption.Slots}}
	for _, k := range slices.Sorted(maps.Keys(r.Caption.Objects)) {
		all = append(all, simLine{"caption exact, objects " + k, r.Caption.Objects[k]})
	}
	for _, k := range slices.Sorted(maps.Keys(r.Question)) {
		all = append(all, simLine{"question " + k, r.Question[k]})
	}
	return append(all,
		simLine{"occluded, all views", r.Occluded.AllViews}, simLine{"occluded, one view", r.Occluded.OneView},
		simLine{"memory, state", r.Memory.State}, simLine{"memory, newest only", r.Memory.NewestOnly})
}

// String is the report as a table.
func (r *simReport) String() string {
	var b strings.Builder
	line := func(name string, f float64) { fmt.Fprintf(&b, "  %-34s %6.1f %%\n", name, 100*f) }
	fmt.Fprintf(&b, "%s, %d clips of each sort\n\ncaptions\n", r.Model, r.Clips)
	line("exact", r.Caption.Exact)
	line("slots", r.Caption.Slots)
	for _, k := range slices.Sorted(maps.Keys(r.Caption.Objects)) {
		line("exact, objects in the room: "+k, r.Caption.Objects[k])
	}
	b.WriteString("questions\n")
	kind := func(k string) { line(fmt.Sprintf("%-14s %6d asked", k, r.Asked[k]), r.Question[k]) }
	kind("all")
	for _, k := range slices.Sorted(maps.Keys(r.Question)) {
		if k != "all" {
			kind(k)
		}
	}
	fmt.Fprintf(&b, "colour of objects hidden from the first camera, %d asked\n", r.Occluded.Asked)
	line("all views", r.Occluded.AllViews)
	line("first view alone", r.Occluded.OneView)
	b.WriteString("what left or entered, when something did\n")
	line("memory", r.Memory.State)
	line("memory of the newest frame set only", r.Memory.NewestOnly)
	line("guessing", r.Memory.Chance)
	return b.String()
}
