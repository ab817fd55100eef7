package main

import (
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

// TestUndisturbed: what is said of a film is the same, byte for byte, whether nobody asks
// or many ask at the same time, about now, about the past and about both. make soak has
// 1,000 ask.
func TestUndisturbed(t *testing.T) {
	frames, questions := 40, 150
	switch {
	case testing.Short():
		frames, questions = 2, 3
	case os.Getenv("EDGED_SOAK") != "":
		questions = 1000
	}
	m, err := openModel("", &vlm.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	quiet := filmSaid(t, m, frames, nil)

	// A frame set goes on when its share of the questions is answered, so that they are
	// spread over all.
	answered := make(chan struct{}, questions)
	var askers sync.WaitGroup
	asked := filmSaid(t, m, frames, func(d *edge.Daemon, n int) {
		if n == 1 {
			for i := range questions {
				askers.Go(func() {
					q := &wire.Ask{Question: []string{"what left the room?", "how many objects are there?", "what moved?"}[i%3]}
					if i%4 == 1 {
						q.At = -1 // milliseconds
					}
					if i%4 == 2 {
						q.Diff = -1
					}
					a, err := d.Ask(t.Context(), q, func(string) error { return nil })
					if wire.Code(err) == wire.CodeNotKept { // the first is not a millisecond old
						err = nil
					} else if err == nil && (a.Text == "" || (a.Change != nil) != (q.Diff != 0)) {
						t.Errorf("%+v: %+v", q, a)
					}
					if err != nil {
						t.Error(err)
					}
					answered <- struct{}{}
				})
			}
		}
		for range questions*n/frames - questions*(n-1)/frames {
			<-answered
		}
	})
	askers.Wait()
	if len(quiet) != frames || !slices.Equal(quiet, asked) {
		t.Errorf("with questions %d captions, without %d:\n%q\n%q", len(asked), len(quiet), asked, quiet)
	}
}

// filmSaid returns the captions of the film's first frame sets. each is called after each.
func filmSaid(t *testing.T, m *vlm.Model, frames int, each func(d *edge.Daemon, n int)) (said []string) {
	t.Helper()
	var d *edge.Daemon
	started := make(chan struct{})
	s := edge.Scene{
		LockStep: true, Frames: uint64(frames), Gate: edge.Gate{Pixels: -1},
		Observe: func(s *edge.Step) {
			<-started
			said = append(said, s.Text)
			if each != nil {
				each(d, int(s.Set.Number))
			}
		},
	}
	for v := range filmViews {
		s.Views = append(s.Views, camera.View{Name: strconv.Itoa(v), Source: newFilm(v, 1)})
	}
	d, err := edge.New(edge.Config{Model: edge.VLM(m), Scenes: []edge.Scene{s}, Questions: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(started)
	<-d.Done()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	return said
}
