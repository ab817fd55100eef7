package wire

import (
	"reflect"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// samples has messages of every kind, with every field set in one of them.
func samples() (requests, replies []Message) {
	ms := StageMS{Vision: 12.5, Encode: 3.25, Decode: 90}
	requests = []Message{
		&Hello{Protocol: 1, Client: "test"},
		new(GetStatus),
		new(GetScenes),
		&Watch{Scene: "yard", From: 812, Lang: "de"},
		&Search{Scene: "yard", Event: EventCaption, Lang: "de", From: 1, To: 900, Within: 3600000, Match: "red|blue", Limit: 20, Newest: true},
		&Ask{Scene: "yard", Question: "what left the room? 什么", Since: -3600000, Deadline: 30000},
		&Ask{Question: "what changed?", At: 1764000000000, Diff: -3600000},
		&GetSnapshots{Scene: "yard"},
		&Admin{Action: ActionForget, Scene: "yard"},
		new(Cancel),
	}
	replies = []Message{
		&Welcome{Protocol: 1, Server: "edged", Version: "0.1", Model: "demo", Scenes: []string{"yard", "hall"}, Role: "ask", Log: true},
		&Status{
			Version: "0.1", Model: "demo", Bundle: "garden version 7, slot b", Backend: "avx2", Time: 1764000000000, UptimeMS: 1.5, RSSBytes: 1 << 40,
			StateBytes: 1 << 20, Goroutines: 40, Asking: 1, Problems: []string{"the log cannot be written"}, Zone: "cpu-thermal", Celsius: 61.5, Duty: 0.85,
			Scenes: []SceneStatus{{
				Name: "yard", State: StateStopped, Reason: "no more pictures", Frames: 70000, Skipped: 3, Captions: 12, Gated: 5, Repeated: 2, SkewMS: 12.5, FrameTime: 1764000000000, AgeMS: 150, Caption: "a red box", CaptionTime: 1764000000000, MS: ms,
				Langs: []string{"en", "de"},
				Views: []ViewStatus{
					{Name: "left", State: ViewLive, Width: 640, Height: 480, Frames: 70003, Skipped: 1, Damaged: 4, Unfit: 3, Missing: 2, Faults: 1, FrameTime: 1764000000000, AgeMS: 40},
					{Name: "right", State: ViewReconnecting, Reason: "no such device"},
				},
				Memory: &MemoryStatus{
					RAM: 100, RAMBytes: 1 << 24, Snapshots: 90, Bytes: 1 << 25, EveryMS: 60000, Saved: 1764000000000, AgeMS: 1500, Problem: "no space left on device", Written: 1 << 30, Daily: 3 << 30,
				},
			}},
			Log: &LogStatus{Records: 1e6, Bytes: 1 << 28, First: 17, Next: 1000017, Pending: 3, Lost: 1, Error: "no space left on device", MaxBytes: 1 << 28, MaxAgeMS: 36e5, Written: 1 << 29, Daily: 1 << 30},
			Plugins: []PluginStatus{{
				Scene: "yard", Name: "zones", State: PluginDisabled, Reason: "unreachable", Permissions: []string{"on_frame", "emit"},
				MemoryBytes: 1 << 24, Calls: 70000, Failures: 5, MeanMS: 0.5, MaxMS: 110, LeftOut: 12, Blocks: true, Blocked: 7,
			}},
		},
		&Scenes{Scenes: []SceneInfo{{Name: "yard", Views: []string{"left", "right"}, Langs: []string{"en", "de"}}, {Name: "hall"}}},
		&Event{Seq: 812, Event: EventCaption, Scene: "yard", Time: 1764000000000, Frame: 300, Text: "a red box", Lang: "en", Views: []string{"left"}, MS: &ms, Dropped: 2},
		&Event{Seq: 814, Event: EventAlert, Scene: "yard", View: "left", Time: 1764000000000, Frame: 300, Text: "in the yard", Tags: []string{"person"}, Plugin: "zones"},
		&Event{Seq: 813, Event: EventState, Scene: "yard", View: "right", State: ViewReconnecting, Text: "right: reconnecting: no such device"},
		&Piece{Text: "a red"},
		&Answer{Text: "a red box", Scene: "yard", Time: 1764000000000, Frame: 300, Tokens: 4, MS: AnswerMS{First: 40, Total: 90.5},
			Span: &Span{Captions: []CaptionLine{{Time: 1764000000000, Frame: 299, Text: "a red box"}}, Logged: 70, Read: true}},
		&Answer{
			Text: "a red box", Scene: "yard", AgeMS: 12.5,
			Change: &Change{
				Then: "a box and a ball", Now: "a red box", Gone: []string{"a ball"}, New: []string{"a red box"}, Time: 1764000000000, Frame: 200, AgeMS: 3600000,
				Captions: []CaptionLine{{Time: 1764000000000, Frame: 250, Text: "a red box"}}, More: 3,
			},
		},
		&End{Next: 813},
		&Snapshots{Scene: "yard", Snapshots: []SnapshotInfo{{Number: 9, Frame: 300, Time: 1764000000000, Bytes: 1 << 21, Disk: true}}},
		new(Done),
		&Error{Code: CodeScene, Message: "no scene yrad"},
	}
	return requests, replies
}

// TestSamples: a field that no sample sets would be in no test that damages messages.
func TestSamples(t *testing.T) {
	requests, replies := samples()
	set := map[string]bool{}
	var look func(v reflect.Value)
	look = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				look(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				look(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				name := v.Type().Name() + "." + v.Type().Field(i).Name
				set[name] = set[name] || !v.Field(i).IsZero()
				look(v.Field(i))
			}
		}
	}
	for _, m := range append(requests, replies...) {
		look(reflect.ValueOf(m))
	}
	for name, is := range set {
		if !is {
			t.Errorf("no sample sets %s", name)
		}
	}
}
