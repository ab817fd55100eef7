package edge

import (
	"reflect"
	"testing"
	"time"

	"github.com/visualrwkv/edged/edge/journal"
	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/wire"
)

// TestRecords: an event is the same after the journal, and what earlier versions wrote is
// still understood.
func TestRecords(t *testing.T) {
	for _, e := range []*wire.Event{
		{Event: wire.EventCaption, Scene: "yard", Time: 1764000000000, Frame: 3, Text: "a box", Lang: "en", Views: []string{"left"}, MS: &wire.StageMS{Vision: 1}, Tags: []string{"box"}},
		{Event: wire.EventAlert, Scene: "yard", Time: 1764000000000, Frame: 3, Text: "a box!", View: "left", Tags: []string{"box", "red"}, Plugin: "zones"},
		{Event: wire.EventState, Scene: "yard", Time: 1764000000000, Text: "left: live", View: "left", State: wire.ViewLive},
	} {
		if got := toEvent(toRecord(e)); !reflect.DeepEqual(got, e) {
			t.Errorf("%+v\nwant %+v", got, e)
		}
	}
	old := &journal.Record{Seq: 7, Time: clock.Time{Wall: time.UnixMilli(1764000000000)}, Kind: wire.EventCaption, Scene: "yard", Text: "a box", Data: []byte(`{"frame":3,"views":["left"]}`)}
	want := &wire.Event{Seq: 7, Event: wire.EventCaption, Scene: "yard", Time: 1764000000000, Frame: 3, Text: "a box", Views: []string{"left"}}
	if got := toEvent(old); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	// A caption without tags takes not a byte more than before there were any.
	if data := toRecord(want).Data; string(data) != string(old.Data) {
		t.Errorf("%s", data)
	}
}
