package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/internal/backendtest"
)

func TestBackend(t *testing.T) { backendtest.Check(t) }

// TestTextsEverywhere pins what the embedded models say of one room: each backend has to
// find the captions and answers of the same list.
//
// Kernels may differ in the last bit of a float, and activations that round to another int8
// make up to some tenths of a logit of it. That is far below what parts the words of this
// list, but a change of a float kernel may move a near tie somewhere else in it.
func TestTextsEverywhere(t *testing.T) {
	const seed, frames = 12, 8 // objects enter, move, hide each other and leave
	const asked = 5            // the frame set that questions are about
	questions := []string{
		"how many objects are there?", "what left the room?", "what entered?", "what moved?",
		"what colour is the person?", "which camera sees the can?", "what is behind the person?",
	}
	var b strings.Builder
	for _, e := range embedded {
		fmt.Fprintf(&b, "%s\n", e.name)
		code, out, stderr := runCommand(t, "demo", "-model", e.name, "-seed", fmt.Sprint(seed), "-frames", fmt.Sprint(frames),
			"-json", "-socket", testSocket(t))
		if code != exitOK {
			t.Fatalf("code %d, stderr %q", code, stderr)
		}
		captions, _ := parseDemo(t, out)
		b.WriteString(texts(captions))

		m, err := openModel(e.name, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		v, err := newViewer(m)
		if err != nil {
			t.Fatal(err)
		}
		clip := sim.Clip{Config: sim.Config{Seed: seed, Views: 2}, Frames: asked}
		if _, err := v.watch(t.Context(), clip, 0, clip.Config.Views, nil); err != nil {
			t.Fatal(err)
		}
		answers, err := v.stream.Answers(t.Context(), questions, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range questions {
			fmt.Fprintf(&b, "%s %s\n", q, answers[i])
		}
	}
	golden(t, "texts.txt", b.String())
}
