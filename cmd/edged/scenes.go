package main

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

// audience is what looks at a scene and is asked about it: one model, or two that are
// compared. Questions that the vocabulary does not cover are left out.
type audience struct {
	begin func() // forgets
	see   func(ctx context.Context, views ...image.Image) error
	ask   func(ctx context.Context, questions []string) error
}

// scene is a sequence of frame sets, and questions about them; the empty question stands
// for the model's own for a caption.
type scene func(ctx context.Context, a *audience) error

// roomScenes are n clips of simulated rooms of all sorts, and one question of each kind
// about each.
func roomScenes(seed uint64, n int) []scene {
	screen := newScreenings()
	all := make([]scene, n)
	for i := range all {
		all[i] = func(ctx context.Context, a *audience) error { return roomScene(ctx, a, screen, seed, i) }
	}
	return all
}

// roomViews is how many views the rooms of roomScenes, and those of an evaluation, need.
const roomViews = 2

func roomScene(ctx context.Context, a *audience, screen *screenings, seed uint64, i int) error {
	views := roomViews
	if i%4 == 0 {
		views = 1
	}
	c := sim.BalancedClip(seed, i, views)
	switch i % 8 {
	case 5:
		c = sim.HiddenClip(seed, i)
	case 6:
		c = sim.MovingClip(seed, i, views)
	case 7:
		c = sim.EventClip(seed, i, views)
	}
	a.begin()
	w, err := screen.play(c, 0, views, func(_ *sim.World, pictures []image.Image) error { return a.see(ctx, pictures...) })
	if err != nil {
		return err
	}
	questions := []string{""}
	rng := rand.New(rand.NewPCG(seed, uint64(i)))
	for _, kind := range sim.Kinds {
		if q, ok := w.Ask(rng, kind); ok {
			questions = append(questions, q.Question)
		}
	}
	return a.ask(ctx, questions)
}

// sceneFrames is how many frame sets of pictures are shown in a row.
const sceneFrames = 8

// pictureQuestions are asked about pictures, besides the model's own question for a
// caption.
var pictureQuestions = []string{
	"",
	"What is in the picture?",
	"What changed?",
	"how many objects are there?",
	"what left the room?",
	"Describe the colors.",
}

// frameSet returns the pictures of one instant.
type frameSet func() ([]image.Image, error)

// pictureScenes show frame sets of pictures, and ask the same about each.
func pictureScenes(sets []frameSet, questions []string) (all []scene) {
	for chunk := range slices.Chunk(sets, sceneFrames) {
		all = append(all, func(ctx context.Context, a *audience) error {
			a.begin()
			for _, set := range chunk {
				views, err := set()
				if err != nil {
					return err
				}
				if err := a.see(ctx, views...); err != nil {
					return err
				}
				if err := a.ask(ctx, questions); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all
}

// folderSets returns frame sets of views pictures of a folder, in the order of their
// names, limit at most. What is left over at the end makes none.
func folderSets(folder string, views, limit int) (sets []frameSet, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".png", ".jpg", ".jpeg":
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	if len(paths) < views {
		return nil, fmt.Errorf("%s has %d pictures, want %d at least", folder, len(paths), views)
	}
	for set := range slices.Chunk(paths[:min(len(paths)/views, limit)*views], views) {
		sets = append(sets, func() (images []image.Image, err error) {
			for _, path := range set {
				img, err := preprocess.DecodeFile(path, nil)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", path, err)
				}
				images = append(images, img)
			}
			return images, nil
		})
	}
	return sets, nil
}

// viewsOf returns the views of the frame sets of a source: simulated rooms have their own
// number, and pictures are as many as the model was made for.
func viewsOf(c vlm.Config, source string) int {
	if source == simulated {
		return roomViews
	}
	return max(c.Views, 1)
}

// show shows scenes to a model, which writes answers as it likes.
func show(ctx context.Context, m *vlm.Model, scenes []scene) error {
	s, err := m.NewStream()
	if err != nil {
		return err
	}
	a := &audience{begin: s.Reset, see: s.See, ask: func(ctx context.Context, questions []string) error {
		_, err := s.Follow(ctx, orCaption(m, questions), nil, answerTokens, func(int, []float32) {})
		return err
	}}
	for _, scene := range scenes {
		if err := scene(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// orCaption puts the model's own question for a caption in the place of the empty one.
func orCaption(m *vlm.Model, questions []string) []string {
	questions = slices.Clone(questions)
	for i, q := range questions {
		questions[i] = cmp.Or(q, m.Config().Caption)
	}
	return questions
}

// patterns are smooth backgrounds with coloured discs and boxes that move from
// frame set to frame set: nothing a model knows, but nothing it cannot see.
func patterns(views int) (sets []frameSet) {
	const w, h = 160, 120
	rng := rand.New(rand.NewPCG(1, 2))
	for range sceneFrames {
		var frame []image.Image
		for range views {
			m := image.NewRGBA(image.Rect(0, 0, w, h))
			r, g, b := rng.IntN(128), rng.IntN(128), rng.IntN(128)
			for y := range h {
				for x := range w {
					m.SetRGBA(x, y, color.RGBA{uint8(r + x/2), uint8(g + y), uint8(b + (x+y)/4), 255})
				}
			}
			for k := range 1 + rng.IntN(4) {
				cx, cy, size := rng.IntN(w), rng.IntN(h), 8+rng.IntN(20)
				c := color.RGBA{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256)), 255}
				for y := -size; y <= size; y++ {
					for x := -size; x <= size; x++ {
						if k%2 == 0 || x*x+y*y <= size*size {
							m.SetRGBA(cx+x, cy+y, c)
						}
					}
				}
			}
			frame = append(frame, m)
		}
		sets = append(sets, func() ([]image.Image, error) { return frame, nil })
	}
	return sets
}
