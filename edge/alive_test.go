package edge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/wire"
)

// clocked is a film that takes five seconds for each picture, and asks whether to go on as
// a [camera.Camera] does, until it freezes.
type clocked struct {
	*film
	frozen  func() bool
	release chan struct{}
}

func (c *clocked) Next(ctx context.Context) (camera.Frame, error) {
	if c.frozen() {
		<-c.release // whatever becomes of ctx
	}
	time.Sleep(5 * time.Second)
	return c.film.Next(ctx)
}

// TestFrozenParts freezes parts of a daemon of two scenes and looks which of them a
// watchdog names.
func TestFrozenParts(t *testing.T) {
	for name, test := range map[string]struct {
		capture, inference, turn bool
		want                     string
	}{
		"nothing":                  {},
		"a capture":                {capture: true, want: "capture of a/view0"},
		"inference":                {inference: true, want: "inference, scene a"}, // the other waits for its turn
		"both":                     {capture: true, inference: true, want: "capture of a/view0, inference, scene a"},
		"a turn that nobody gives": {turn: true, want: "inference"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var frozen, one atomic.Bool
				m := &fakeModel{see: func(ctx context.Context) error {
					if frozen.Load() && test.inference && one.CompareAndSwap(false, true) {
						<-release
					}
					return ctx.Err()
				}}
				w := new(watchdog.Watchdog)
				films := []*film{newFilm(1e9), newFilm(1e9)}
				scene := func(name string, f *film, freezes bool) Scene {
					return Scene{Name: name, Views: []camera.View{{Name: "view0", Source: &clocked{
						film: f, release: release, frozen: func() bool { return freezes && test.capture && frozen.Load() },
					}}}}
				}
				d, err := New(Config{Model: m, Watchdog: w, Scenes: []Scene{scene("a", films[0], true), scene("b", films[1], false)}})
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond)
				var told atomic.Pointer[string] // last
				ctx, cancel := context.WithCancel(t.Context())
				go w.Run(ctx, time.Minute, func(frozen []string) {
					slices.Sort(frozen)
					text := strings.Join(frozen, ", ")
					told.Store(&text)
				})
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if s := told.Load(); s != nil {
					t.Fatalf("told %q though everything moves", *s)
				}
				frozen.Store(true)
				if test.turn {
					d.turns.looks <- struct{}{}
				}
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				got := ""
				if s := told.Load(); s != nil {
					got = *s
				}
				if test.inference { // whichever scene came first
					got = strings.ReplaceAll(got, "scene b", "scene a")
				}
				if got != test.want {
					t.Errorf("told %q in the end, want %q", got, test.want)
				}
				cancel()
				if test.turn {
					<-d.turns.looks
				}
				close(release)
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestMissingCameraIsNoFreeze: cameras that are not there, never answer, or show a
// picture an hour freeze nothing.
func TestMissingCameraIsNoFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		kinds := map[string]func(string, *camera.Options) (camera.Kind, error){
			"absent": func(string, *camera.Options) (camera.Kind, error) {
				return camera.Kind{Open: func(context.Context) (camera.Source, error) { return nil, errors.New("no such device") }}, nil
			},
			"hangs": func(string, *camera.Options) (camera.Kind, error) {
				return camera.Kind{Open: func(context.Context) (camera.Source, error) { <-release; return nil, errors.New("at last") }}, nil
			},
			"rare": func(string, *camera.Options) (camera.Kind, error) {
				return camera.Kind{Patience: time.Hour, Open: func(ctx context.Context) (camera.Source, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}}, nil
			},
		}
		var scenes []Scene
		for kind := range kinds {
			c, err := camera.Open(kind+":x", &camera.Options{Kinds: kinds})
			if err != nil {
				t.Fatal(err)
			}
			scenes = append(scenes, Scene{Name: kind, Views: []camera.View{{Name: "v", Source: c}}})
		}
		w := new(watchdog.Watchdog)
		d, err := New(Config{Model: &fakeModel{}, Watchdog: w, Scenes: scenes})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go w.Run(ctx, 3*time.Minute, func(frozen []string) { t.Errorf("frozen: %q", frozen) })
		time.Sleep(3 * time.Hour)
		cancel()
		close(release)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestStopsInTwoSeconds: while captions and an answer are being written, and cameras hang
// in every call.
func TestStopsInTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		kinds := map[string]func(string, *camera.Options) (camera.Kind, error){
			"hangs": func(when string, _ *camera.Options) (camera.Kind, error) {
				return camera.Kind{Open: func(context.Context) (camera.Source, error) {
					if when == "open" {
						<-release
					}
					return &hanging{film: newFilm(1e9), when: when, release: release}, nil
				}}, nil
			},
		}
		writing := make(chan struct{}, 100)
		m := &fakeModel{see: func(ctx context.Context) error { return ctx.Err() }, think: func(ctx context.Context) error {
			writing <- struct{}{}
			<-ctx.Done() // a layer at most
			return ctx.Err()
		}}
		var scenes []Scene
		for _, when := range []string{"open", "next", "close", "close"} {
			c, err := camera.Open("hangs:"+when, &camera.Options{Kinds: kinds})
			if err != nil {
				t.Fatal(err)
			}
			scenes = append(scenes, Scene{Name: when + string(rune('a'+len(scenes))), Views: []camera.View{{Name: "v", Source: c}}, Prompts: []Prompt{{Question: "what is new?"}}})
		}
		d, err := New(Config{Model: m, Scenes: scenes})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // every camera but the one that does not open has shown something
		c, err := d.Client(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		asked := make(chan error)
		go func() {
			for _, err := range c.Ask(t.Context(), &wire.Ask{Scene: scenes[3].Name, Question: "what now?"}) {
				if err != nil {
					asked <- err
					return
				}
			}
			asked <- nil
		}()
		time.Sleep(time.Second)
		if n := len(writing); n < 2 {
			t.Fatalf("%d texts are being written, want a caption and an answer", n)
		}
		start := time.Now()
		err = d.Close()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		if err == nil || strings.Count(err.Error(), "does not return") != 4 {
			t.Errorf("what hangs is not told: %v", err)
		}
		if err := <-asked; wire.Code(err) != wire.CodeClosing {
			t.Errorf("the question: %v", err)
		}
		close(release)
		time.Sleep(time.Second) // what hung ends
	})
}

// hanging is a source of which a call hangs, whatever becomes of its context.
type hanging struct {
	*film
	when    string
	release chan struct{}
}

func (h *hanging) Next(ctx context.Context) (camera.Frame, error) {
	if h.when == "next" && h.next == 1 {
		<-h.release
	}
	time.Sleep(10 * time.Millisecond)
	return h.film.Next(ctx)
}

func (h *hanging) Close() error {
	if h.when == "close" {
		<-h.release
	}
	return h.film.Close()
}
