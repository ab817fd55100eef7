package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// protocolDoc returns docs/protocol.md.
func protocolDoc(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// TestProtocolBytes compares the bytes in the document with what is sent.
func TestProtocolBytes(t *testing.T) {
	examples := map[string]struct {
		id uint64
		m  Message
	}{
		"hello":               {1, &Hello{Protocol: 1}},
		"welcome":             {1, &Welcome{Protocol: 1, Server: "edged", Version: "0.1.0", Model: "demo", Scenes: []string{"room"}, Role: "ask", Log: true}},
		"ask":                 {2, &Ask{Question: "what left?"}},
		"piece":               {2, &Piece{Text: "a red box"}},
		"answer":              {2, &Answer{Text: "a red box", Scene: "room", Time: 1764000000000, Frame: 300, Tokens: 4, MS: AnswerMS{First: 40, Total: 90.5}}},
		"watch":               {3, &Watch{From: 7}},
		"event":               {3, &Event{Seq: 7, Event: EventCaption, Scene: "room", Time: 1764000000000, Frame: 301, Text: "a blue ball", Views: []string{"left"}}},
		"watch in a language": {3, &Watch{Lang: "de"}},
		"event in a language": {3, &Event{Seq: 8, Event: EventCaption, Scene: "room", Time: 1764000000000, Frame: 301, Text: "ein Ball da!", Lang: "de", Views: []string{"left"}}},
		"alert":               {3, &Event{Seq: 9, Event: EventAlert, Scene: "room", Time: 1764000000000, Frame: 301, Text: "in the yard", View: "left", Tags: []string{"person"}, Plugin: "zones"}},
		"cancel":              {3, new(Cancel)},
		"end":                 {3, new(End)},
		"error":               {2, &Error{Code: CodeScene, Message: "no scene yard"}},
		"an id of 1000":       {1000, new(GetStatus)},
		"search":              {4, &Search{Within: 3600000, Match: "red box"}},
		"search end":          {4, &End{Next: 1017}},
		"get_snapshots":       {5, new(GetSnapshots)},
		"snapshots":           {5, &Snapshots{Scene: "room", Snapshots: []SnapshotInfo{{Number: 9, Frame: 300, Time: 1764000000000, Bytes: 65536, Disk: true}}}},
		"scenes":              {7, &Scenes{Scenes: []SceneInfo{{Name: "room", Views: []string{"left"}, Langs: []string{"en", "de"}}}}},
		"admin":               {6, &Admin{Action: ActionPause, Scene: "room"}},
		"done":                {6, new(Done)},
	}
	block := regexp.MustCompile("(?s)```hex ([a-z0-9_ ]+)\n(.*?)```")
	comment := regexp.MustCompile(`(?m)  +#.*$`)
	seen := 0
	for _, found := range block.FindAllStringSubmatch(protocolDoc(t), -1) {
		name, text := found[1], comment.ReplaceAllString(found[2], "")
		e, ok := examples[name]
		if !ok {
			t.Errorf("no example %q", name)
			continue
		}
		seen++
		want, err := Append(nil, e.id, e.m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the document has\n% x (%v), sent is\n% x", name, got, err, want)
		}
	}
	if seen != len(examples) {
		t.Errorf("%d examples in the document, %d here", seen, len(examples))
	}
}

// TestProtocolNames: every key, kind, code and constant is in the document.
func TestProtocolNames(t *testing.T) {
	doc := protocolDoc(t)
	names := []string{
		CodeProtocol, CodeUnknown, CodeRequest, CodeScene, CodeDenied, CodeMissing, CodeBusy, CodeNotReady, CodeCanceled, CodeDeadline, CodeClosing, CodeInternal,
		ViewLive, ViewReconnecting, ViewDark, ViewOverexposed, ViewBlurred, ViewFrozen, ViewDisabled, ViewEnded, EventCaption, EventAlert, EventState, PluginRunning, PluginRestarting, PluginDisabled,
		StateWatching, StatePaused, StateStopped, StateMemory, StateLog,
		ActionReload, ActionPause, ActionResume, ActionForget, "view", "ask", "admin",
	}
	var fields func(reflect.Type)
	fields = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			fields(typ.Elem())
		case reflect.Struct:
			for i := range typ.NumField() {
				key, _, _ := strings.Cut(typ.Field(i).Tag.Get("msgpack"), ",")
				if key == "" {
					t.Errorf("%s.%s has no key", typ, typ.Field(i).Name)
				}
				names = append(names, key)
				fields(typ.Field(i).Type)
			}
		}
	}
	requests, replies := samples()
	for _, m := range append(requests, replies...) {
		names = append(names, m.Kind())
		fields(reflect.TypeOf(m))
	}
	for _, n := range names {
		if !strings.Contains(doc, "`"+n+"`") {
			t.Errorf("the document does not speak of `%s`", n)
		}
	}
}
