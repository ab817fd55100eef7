package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/backendtest"
)

// TestEvalCaptions holds what people are told: changes get captions at once, nothing is told
// twice, and of a still room nothing is told at all. The figures in docs/demo-model.md are of
// longer streams.
func TestEvalCaptions(t *testing.T) {
	backendtest.SkipAgain(t) // what is said is TestTextsEverywhere's
	frames := "60"
	if testing.Short() {
		frames = "15"
	}
	code, out, stderr := runCommand(t, "eval", "-sim", "-captions", frames, "-clips", "2", "-json")
	var r publishReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitOK {
		t.Fatalf("code %d, %v, %q, %q", code, err, out, stderr)
	}
	if r.Changes < 10 || r.Captured < 0.95 || r.Repeats > 0.03 || r.Still.Streams != 2 || r.Still.Captions != 0 || r.Frames != r.Still.Frames {
		t.Errorf("%+v", r)
	}
	// The gate sees the light, and the model's state hardly does.
	if r.Light.Streams != 2 || r.Light.Captions != 0 || r.Light.Asked <= 2 || r.Light.Asked > r.Light.Frames*2/3 || r.Asked < r.Captions || r.Still.Asked < 2 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(r.String(), "changes with a caption") {
		t.Error(r.String())
	}
	for _, args := range [][]string{{"-captions", "0"}, {"-captions", "-1"}, {"-captions", "5", "-stream", "5"}} {
		if code, _, _ := runCommand(t, slices.Concat([]string{"eval", "-sim"}, args)...); code != exitUsage {
			t.Errorf("%v: code %d", args, code)
		}
	}
}

func TestScoreOfCaptions(t *testing.T) {
	tell := func(truth, text string) published { return published{truth, text, text != ""} }
	got := score([]published{
		tell("a red ball.", "a red ball."),
		tell("a red ball.", ""),
		tell("a blue can.", ""),           // changed, and told with the next
		tell("a blue can.", "a red can."), // wrong
		tell("a blue can.", "a blue can."),
		tell("a red box.", ""), // changed, and told too late
		tell("a red box.", ""),
		tell("a red box.", "a red box."),
		tell("a red box.", "a red ball."), // nothing new
		tell("a white cone.", ""),         // changed in the end
	})
	want := captionTally{frames: 10, changes: 3, captured: 1, asked: 5, captions: 5, exact: 3, repeats: 2, corrections: 1}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
