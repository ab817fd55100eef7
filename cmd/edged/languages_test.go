package main

import (
	"image"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

// TestRunLanguages: a scene with two languages, of which a question of the demo stands for
// one, is described in both at once, and "edged log" and "edged watch" show one of them.
func TestRunLanguages(t *testing.T) {
	config := filepath.Join(t.TempDir(), "c.yaml")
	text := "prompts: {own: '', count: 'how many objects are there?', odd: 'wieviel?'}\n" +
		"scenes: [{name: a, languages: [own, count], interval: 10ms, views: [{name: v, source: 'sim:1/front'}]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, c := startRun(t, config)
	var first []*wire.Event
	for e, err := range c.Watch(t.Context(), &wire.Watch{From: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption {
			first = append(first, e)
		}
		if len(first) == 2 {
			break
		}
	}
	own, count := first[0], first[1]
	if own.Lang != "own" || count.Lang != "count" || own.Frame != count.Frame || own.Seq+1 != count.Seq || own.Text == count.Text {
		t.Errorf("%+v\n%+v", own, count)
	}
	for _, lang := range []string{"own", "count"} {
		code, out, stderr := runCommand(t, "log", "-socket", r.socket, "-json", "-lang", lang)
		other := `"lang":"count"`
		if lang == "count" {
			other = `"lang":"own"`
		}
		if code != exitOK || stderr != "" || !strings.Contains(out, `"lang":"`+lang+`"`) || strings.Contains(out, other) || !strings.Contains(out, `"state":"watching"`) {
			t.Errorf("%s: code %d, %s%s", lang, code, stderr, out)
		}
	}
	if code, out, _ := runCommand(t, "log", "-socket", r.socket); code != exitOK || !strings.Contains(out, "  count  "+count.Text+"\n") || !strings.Contains(out, "  own  "+own.Text+"\n") {
		t.Errorf("code %d, %s", code, out)
	}
	code, _, stderr := runCommand(t, "watch", "-socket", r.socket, "-lang", "fr")
	if code != exitFailed || !strings.Contains(stderr, `no captions in "fr"; there are some in "count", "own"`) {
		t.Errorf("code %d, %s", code, stderr)
	}

	// A question that the model cannot be asked is refused, and what runs goes on.
	if err := os.WriteFile(config, []byte(strings.Replace(text, "own, count", "own, odd", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.hup <- os.Interrupt
	r.hup <- os.Interrupt // taken once the first has been dealt with
	r.stop(t)
	if !strings.Contains(r.err.String(), `scene a: its prompt cannot be asked: the model does not know this word: "wieviel?"`) || !strings.Contains(r.err.String(), "the one before goes on") {
		t.Errorf("its log:\n%s", &r.err)
	}
}

// BenchmarkLanguages describes a room of four objects in up to as many languages as a scene
// may have, with the same text in each.
func BenchmarkLanguages(b *testing.B) {
	m, err := openModel("", &vlm.Options{Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	s, err := edge.VLM(m).NewStream()
	if err != nil {
		b.Fatal(err)
	}
	_, err = newScreenings().play(sim.BalancedClip(1, 3, 2), 0, 2, func(_ *sim.World, pictures []image.Image) error {
		_, _, err := s.See(b.Context(), pictures)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for n := 1; n <= 4; n++ {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				if texts, err := s.Answers(b.Context(), make([]string, n)); err != nil || len(texts[0]) < 30 {
					b.Fatal(texts, err)
				}
			}
		})
	}
}
