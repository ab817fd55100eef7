package edge

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// icy is a camera whose pictures are the same for ever, or for the first of its lives.
type icy struct {
	now    *time.Time
	lives  int
	melts  bool
	moving bool
	seed   uint64
}

func (c *icy) Close() error { return nil }

func (c *icy) Next(context.Context) (camera.Frame, error) {
	*c.now = c.now.Add(10 * time.Second)
	if c.moving {
		c.seed++
	}
	return camera.NewFrame(noisy(c.seed, false), *c.now, 0, nil), nil
}

// opened watches a camera for so long, and returns how often it was opened and what was told.
func (c *icy) opened(t *testing.T, repeats, d time.Duration) (lives int, told []string) {
	t.Helper()
	now := time.Unix(0, 0)
	c.now = &now
	kinds := map[string]func(string, *camera.Options) (camera.Kind, error){"x": func(string, *camera.Options) (camera.Kind, error) {
		return camera.Kind{Repeats: repeats, Open: func(context.Context) (camera.Source, error) {
			c.lives++
			c.moving = c.melts && c.lives > 1
			return c, nil
		}}, nil
	}}
	cam, err := camera.Open("x:", &camera.Options{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	defer cam.Close()
	v := newView(camera.View{Name: "door", Source: cam}, false, make(chan struct{}, 1), func(_ string, _ camera.State, text string) { told = append(told, text) })
	for end := now.Add(d); ; {
		f, err := cam.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		v.look(&f)
		f.Release()
		if f.Time.After(end) {
			return c.lives, told
		}
	}
}

// TestFrozenIsOpenedAgain: a camera that is frozen is opened again, ever more rarely, without
// another word than that; one that lives on then is left alone, and so is what may repeat itself.
func TestFrozenIsOpenedAgain(t *testing.T) { synctest.Test(t, testFrozenIsOpenedAgain) }

func testFrozenIsOpenedAgain(t *testing.T) {
	// After 40 s, and 1, 2, 4, 8, 16, 32, 60 and 60 minutes more.
	lives, told := (&icy{}).opened(t, 10*time.Second, 4*time.Hour)
	if lives < 10 || lives > 11 {
		t.Errorf("opened %d times in four hours", lives)
	}
	again := 0
	for _, line := range told {
		if strings.HasPrefix(line, "door: frozen: the same picture for 10s: its camera is opened again; if that does not help, next in ") {
			again++
		}
	}
	if again != lives-1 || len(told) != again+2 { // live, frozen
		t.Errorf("opened again %d times: %s", lives-1, strings.Join(told, "\n"))
	}
	lives, told = (&icy{melts: true}).opened(t, 10*time.Second, time.Hour)
	states := func(line string) bool { return line == "door: live" }
	if lives != 2 || len(told) != 4 || !states(told[0]) || !states(told[3]) {
		t.Errorf("what opening again helps was opened %d times: %q", lives, told)
	}
	if lives, told = (&icy{}).opened(t, 0, time.Hour); lives != 1 || !slices.Equal(told, []string{"door: live"}) {
		t.Errorf("what may repeat itself was opened %d times: %q", lives, told)
	}
}
