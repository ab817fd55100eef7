package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/wire"
)

// TestTrial: a model that fails, or that writes nothing in time, ends no scene; it gives way to the
// one before, which goes on as if nothing had been.
func TestTrial(t *testing.T) {
	broken := errors.New("broken")
	stuck := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, c := range []struct {
		name   string
		see    func(context.Context) error
		paused bool
		want   string
	}{
		{"fails", func(context.Context) error { return broken }, false, "broken"},
		{"is stuck", stuck, false, "no caption within 30s"},
		{"has nothing to look at", stuck, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFilm(1 << 40)
				f.live = time.Second
				a, _ := closable(t, 1)
				d := start(t, Config{Model: a, Scenes: []Scene{{Views: views(f)}}})
				time.Sleep(10 * time.Second)
				before, err := askOf(d, "")
				if err != nil {
					t.Fatal(err)
				}
				if c.paused {
					d.pause("", true)
				}
				bad := &fakeModel{name: 2, see: c.see}
				if err := d.Exchange(t.Context(), bad, true); err != nil {
					t.Fatal(err)
				}
				err = d.Proof(t.Context(), 30*time.Second)
				if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
					t.Errorf("proof: %v, want %q", err, c.want)
				}
				if err == nil {
					return
				}
				if err := d.Exchange(t.Context(), a, false); err != nil {
					t.Fatal(err)
				}
				if err := d.Release(t.Context(), bad); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Second)
				after, err := askOf(d, "")
				if err != nil || after.Frame <= before.Frame {
					t.Errorf("%+v, %v, before %+v", after, err, before)
				}
				if s, _ := d.Status(t.Context()); s.Scenes[0].State != wire.StateWatching {
					t.Errorf("the scene is %s: %s", s.Scenes[0].State, s.Scenes[0].Reason)
				}
			})
		})
	}
}

// TestTrialHangs: a model on trial that does not come back, whatever it was asked for and though it was told to end, is
// left alone. Scenes go on with the one before, a question ends, and so does the daemon.
func TestTrialHangs(t *testing.T) {
	for _, c := range []struct {
		name   string
		what   func(m *fakeModel, hang func(context.Context) error)
		signs  bool // it asks all the time whether to go on, and does not heed it
		closed bool // at once, instead of exchanged
		asked  bool
		want   string
	}{
		{"looking", func(m *fakeModel, hang func(context.Context) error) { m.see = hang }, false, false, false, "it hangs: no sign of life for 1m0s"},
		{"looking slowly", func(m *fakeModel, hang func(context.Context) error) { m.see = hang }, true, false, false, "no caption within 5m0s"},
		{"until the end", func(m *fakeModel, hang func(context.Context) error) { m.see = hang }, false, true, false, "canceled"},
		{"answering", func(m *fakeModel, hang func(context.Context) error) {
			m.think, m.see = hang, func(context.Context) error { return errors.New("broken") }
		}, false, false, true, "broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFilm(1 << 40)
				f.live = time.Second
				a, _ := closable(t, 1)
				d := start(t, Config{Model: a, Scenes: []Scene{{Views: views(f)}}})
				time.Sleep(10 * time.Second)
				over := make(chan struct{})
				bad := &fakeModel{name: 1}
				c.what(bad, func(ctx context.Context) error {
					tick := time.NewTicker(time.Second)
					defer tick.Stop()
					for {
						select {
						case <-over:
							return nil
						case <-tick.C:
							if c.signs {
								ctx.Err()
							}
						}
					}
				})
				if err := d.Exchange(t.Context(), bad, true); err != nil {
					t.Fatal(err)
				}
				before, _ := d.Status(t.Context())
				begun := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				answered := make(chan error, 1)
				if c.asked {
					go func() { _, err := askOf(d, ""); answered <- err }()
					synctest.Wait() // until it hangs
				}
				if c.closed {
					time.AfterFunc(3*time.Second, cancel)
				}
				if err := d.Proof(ctx, 5*time.Minute); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("proof: %v, want %q", err, c.want)
				}
				t.Logf("not looked at for %v", time.Since(begun))
				if !c.closed {
					if err := d.Exchange(t.Context(), a, false); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Second)
					after, _ := d.Status(t.Context())
					if s := after.Scenes[0]; s.State != wire.StateWatching || s.Frames < before.Scenes[0].Frames+5 {
						t.Errorf("%+v, before %+v", s, before.Scenes[0])
					}
				}
				if c.asked {
					if err := <-answered; wire.Code(err) != wire.CodeBusy {
						t.Errorf("asked: %v", err)
					}
				}
				d.Close()
				if err := d.Release(ctx, bad); err == nil {
					t.Error("what is in use may be closed")
				}
				close(over)
				synctest.Wait()
				if n := f.out.Load(); c.asked && n != 0 || !c.asked && n != 1 {
					t.Errorf("%d pictures are left to what hangs", n)
				}
			})
		})
	}
}
