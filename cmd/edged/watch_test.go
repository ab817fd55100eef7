package main

import (
	"strings"
	"testing"

	"github.com/visualrwkv/edged/wire"
)

// TestEventLines: how events look to people and to programs. Alerts stand out, tags are told.
func TestEventLines(t *testing.T) {
	caption := &wire.Event{Seq: 3, Event: wire.EventCaption, Scene: "yard", Time: 1764000000000, Frame: 7, Text: "a red box", Lang: "en", Views: []string{"left"}, Tags: []string{"box", "red"}}
	alert := &wire.Event{Seq: 4, Event: wire.EventAlert, Scene: "yard", Time: 1764000000000, Frame: 7, Text: "in the\nyard", View: "left", Plugin: "zones", Tags: []string{"box"}}
	state := &wire.Event{Seq: 5, Event: wire.EventState, Scene: "yard", Time: 1764000000000, State: wire.StatePaused, Text: "paused", Dropped: 2}
	for _, c := range []struct {
		e          *wire.Event
		line, json string
	}{
		{caption, "  yard  en  a red box  [box, red]\n", `"frame":7,"text":"a red box","lang":"en","views":["left"],"tags":["box","red"]}`},
		{alert, "  yard  !! in the yard  [box]\n", `{"type":"alert","seq":4,"scene":"yard",`},
		{alert, "", `"frame":7,"text":"in the\nyard","view":"left","tags":["box"],"plugin":"zones"}`},
		{state, "  (2 events lost)\n", `"text":"paused","state":"paused","dropped":2}`},
		{state, "  yard  -- paused\n", ""},
	} {
		var line, object strings.Builder
		if err := eventPrinter("15:04:05", true, true)(&line, c.e); err != nil || !strings.Contains(line.String(), c.line) {
			t.Errorf("%q, %v, want %q", line.String(), err, c.line)
		}
		if err := printEventJSON(&object, c.e); err != nil || !strings.Contains(object.String(), c.json) {
			t.Errorf("%s, %v, want %s", object.String(), err, c.json)
		}
	}
}
