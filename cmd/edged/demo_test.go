package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/wire"
)

type demoCaption struct {
	Type, Scene, Text string
	Truth             *string
	Frame             uint64
	Views             []string
	MS                map[string]float64
}

// parseDemo splits the output of "demo -json".
func parseDemo(t *testing.T, out string) (captions []demoCaption, s summary) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, l := range lines {
		if i == len(lines)-1 {
			if err := json.Unmarshal([]byte(l), &s); err != nil || s.Type != "summary" {
				t.Fatalf("last line %q: %v", l, err)
			}
			break
		}
		var c demoCaption
		if err := json.Unmarshal([]byte(l), &c); err != nil || c.Type != "caption" {
			t.Fatalf("line %q: %v", l, err)
		}
		captions = append(captions, c)
	}
	return captions, s
}

func texts(captions []demoCaption) string {
	var b strings.Builder
	for _, c := range captions {
		fmt.Fprintf(&b, "%d %s\n", c.Frame, c.Text)
	}
	return b.String()
}

func TestDemoJSON(t *testing.T) {
	args := []string{"demo", "-frames", "6", "-seed", "5", "-json", "-socket", testSocket(t)}
	code, out, stderr := runCommand(t, args...)
	if code != exitOK || stderr != "" {
		t.Fatalf("code %d, stderr %q", code, stderr)
	}
	captions, s := parseDemo(t, out)
	if s.Frames != 6 || s.Captions != uint64(len(captions)) || s.Captions < 1 || s.Skipped != 0 || s.StateBytes <= 0 {
		t.Errorf("summary %+v, %d captions", s, len(captions))
	}
	exact, right, total := 0, 0, 0
	for _, c := range captions {
		if c.Scene != "room" || !slices.Equal(c.Views, []string{"front", "side"}) || c.Truth == nil || len(c.MS) != 3 {
			t.Fatalf("caption %+v", c)
		}
		r, n, ok := sim.Score(c.Text, *c.Truth)
		right, total = right+r, total+n
		if ok {
			exact++
		}
	}
	if e, sl := float64(exact)/float64(len(captions)), float64(right)/float64(total); *s.Exact != e || *s.Slots != sl {
		t.Errorf("exact %g, slots %g; from the lines %g, %g", *s.Exact, *s.Slots, e, sl)
	}
	if testing.Short() {
		return
	}
	_, again, _ := runCommand(t, args...)
	if other, _ := parseDemo(t, again); texts(other) != texts(captions) {
		t.Errorf("second run differs:\n%s\n%s", texts(captions), texts(other))
	}
	code, out, _ = runCommand(t, append(args, "-quiet")...)
	if quiet, q := parseDemo(t, out); code != exitOK || len(quiet) != 0 || q.Captions != s.Captions {
		t.Errorf("-quiet: code %d, %s", code, out)
	}
}

// firstLine tells when something was written that has text in it.
type firstLine struct {
	text string
	seen chan struct{}

	mu  sync.Mutex
	all bytes.Buffer
}

func (w *firstLine) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := strings.Contains(w.all.String(), w.text)
	w.all.Write(b)
	if !before && strings.Contains(w.all.String(), w.text) {
		close(w.seen)
	}
	return len(b), nil
}

// TestDemoAsked compares a run with questions with one without. The first goes on
// until somebody who watches has seen a caption and a question was answered.
func TestDemoAsked(t *testing.T) {
	socket := testSocket(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	listening := func() bool {
		for ctx.Err() == nil {
			// The file is there a moment before somebody listens.
			if c, err := net.Dial("unix", socket); err == nil {
				c.Close()
				return true
			}
			time.Sleep(time.Millisecond)
		}
		return false
	}
	var others sync.WaitGroup
	answer := make(chan struct{})
	var answered []jsonAnswer
	others.Go(func() {
		for listening() {
			code, out, stderr := runCommand(t, "ask", "-json", "-socket", socket, "what left the room?")
			var a jsonAnswer
			if code == exitOK && json.Unmarshal([]byte(out), &a) == nil {
				if answered = append(answered, a); len(answered) == 1 {
					close(answer)
				}
			} else if code != exitFailed || stderr == "" {
				t.Errorf("ask: code %d, %q, %q", code, out, stderr)
			}
		}
	})
	watched := firstLine{text: `"type":"caption"`, seen: make(chan struct{})}
	others.Go(func() {
		if listening() {
			if err := watch(t.Context(), socket, new(wire.Watch), true, &watched); err != nil {
				t.Errorf("watch: %v", err)
				stop()
			}
		}
	})
	others.Go(func() {
		for _, c := range []chan struct{}{answer, watched.seen} {
			select {
			case <-c:
			case <-ctx.Done():
			}
		}
		stop()
	})
	const most = 2000
	var stdout, stderr bytes.Buffer
	code := runDemo(ctx, demoFlags{views: 2, frames: most, seed: 1, socket: socket, json: true}, &stdout, &stderr)
	stop()
	others.Wait()
	if code != exitOK || stderr.Len() != 0 {
		t.Errorf("code %d, stderr %q", code, &stderr)
	}
	asked, s := parseDemo(t, stdout.String())
	if s.Frames == 0 || s.Frames == most {
		t.Fatalf("%d frame sets", s.Frames)
	}
	_, out, _ := runCommand(t, "demo", "-frames", fmt.Sprint(s.Frames), "-json", "-socket", socket)
	if quiet, _ := parseDemo(t, out); texts(asked) != texts(quiet) {
		t.Errorf("captions differ when questions are asked:\n%s\n%s", texts(quiet), texts(asked))
	}
	for _, a := range answered {
		if a.Type != "answer" || a.Scene != "room" || a.Frame < 1 || a.Question != "what left the room?" {
			t.Errorf("answer %+v", a)
		}
	}
	if !strings.Contains(watched.all.String(), `"state":"stopped"`) {
		t.Errorf("watch: %q", &watched.all)
	}
}

// writeFilm writes n frame sets of a simulated room as pictures.
func writeFilm(t *testing.T, dir string, n int) {
	t.Helper()
	r := sim.NewRoom(3, 2, 0, false)
	for _, v := range r.Views() {
		if err := os.Mkdir(filepath.Join(dir, v.Name), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			f, err := v.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w, err := os.Create(filepath.Join(dir, v.Name, fmt.Sprintf("%d.png", i+1)))
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(w, f.Image); err != nil {
				t.Fatal(err)
			}
			w.Close()
			f.Release()
		}
	}
}

func TestDemoFolder(t *testing.T) {
	dir := t.TempDir()
	writeFilm(t, dir, 5)
	if err := os.Truncate(filepath.Join(dir, "side", "3.png"), 500); err != nil {
		t.Fatal(err)
	}
	args := []string{"demo", "-source", dir, "-every", "1ms", "-json", "-socket", testSocket(t)}
	code, out, stderr := runCommand(t, args...)
	if code != exitOK || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "3.png") {
		t.Errorf("code %d, stderr %q", code, stderr)
	}
	captions, s := parseDemo(t, out)
	if s.Frames != 5 || s.BadPictures != 1 || s.Exact != nil || s.Slots != nil {
		t.Errorf("summary %s", out)
	}
	for _, c := range captions {
		views := []string{"front", "side"}
		if c.Frame == 3 {
			views = views[:1]
		}
		if c.Truth != nil || c.Scene != filepath.Base(dir) || !slices.Equal(c.Views, views) {
			t.Errorf("caption %+v", c)
		}
	}

	dir = t.TempDir()
	writeFilm(t, dir, 1)
	for _, view := range []string{"front", "side"} {
		if err := os.Truncate(filepath.Join(dir, view, "1.png"), 500); err != nil {
			t.Fatal(err)
		}
	}
	code, _, stderr = runCommand(t, "demo", "-source", dir, "-every", "1ms", "-quiet", "-socket", testSocket(t))
	if code != exitInput || !strings.Contains(stderr, dir+": no picture that is not bad") {
		t.Errorf("no whole frame set: code %d, stderr %q", code, stderr)
	}
}

func TestDemoText(t *testing.T) {
	socket := testSocket(t)
	code, out, stderr := runCommand(t, "demo", "-frames", "2", "-socket", socket)
	if code != exitOK || stderr != "" {
		t.Errorf("code %d, stderr %q", code, stderr)
	}
	for _, want := range []string{"watching front and side", "ask -socket " + socket, "    1  ", "2 frame sets, "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("socket left behind")
	}
	code, out, _ = runCommand(t, "demo", "-frames", "2", "-quiet", "-socket", socket)
	if code != exitOK || strings.Count(out, "\n") != 1 {
		t.Errorf("-quiet: code %d, %q", code, out)
	}
}
