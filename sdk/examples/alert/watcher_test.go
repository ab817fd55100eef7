package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/sdk"
)

func watching(t *testing.T, scene, config string) *watcher {
	t.Helper()
	w := &watcher{}
	if err := w.start(&sdk.Start{Scene: scene, Permissions: []string{"emit"}, Config: json.RawMessage(config)}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ words, text, want string }{
		{`"person"`, "A Person, alone.", "Person"},
		{`"person"`, "personal", ""},
		{`"person"`, "salesperson", ""},
		{`"person"`, "a personal person", "person"},
		{`"person"`, "person", "person"},
		{`"red ball","red"`, "two red balls", "red"},
		{`"red","red ball"`, "a red ball", "red"},
		{`"man","manor"`, "the manor", "manor"},
		{`"a.b"`, "axb", ""},
		{`"#1"`, "no#1!", "#1"},
		{`"人"`, "两个人在门口", "人"},
		{`"dog","狗"`, "院子里有一只狗。", "狗"},
		{`"tv"`, "大tv很好", "tv"},
		{`"Übung"`, "eine übung", "übung"},
		{`"ad"`, "bád ad", "ad"},
	} {
		w := watching(t, "yard", `{"rules":[{"words":[`+c.words+`],"message":"{match}"}]}`)
		if got := w.judge(&sdk.Caption{Text: c.text}).Alert; got != c.want {
			t.Errorf("%s in %q: %q, want %q", c.words, c.text, got, c.want)
		}
	}
}

func TestRules(t *testing.T) {
	const config = `{"rules":[
		{"words":["person"],"tag":"visitor","cooldown":"2m"},
		{"pattern":"(?i)the (\\w+ \\w+) left","tag":"gone","cooldown":0,"message":"{scene}: {match}"},
		{"words":["ball"],"scenes":["hall"],"tag":"toy"},
		{"words":["red"],"tag":"visitor","cooldown":30}]}`
	w := watching(t, "yard", config)
	for i, c := range []struct {
		second      int
		text, alert string
		tags        []string
	}{
		{5, "a ball.", "", nil},
		{6, "a person; The blue can left.", "person: a person; The blue can left.; yard: The blue can left", []string{"visitor", "gone"}},
		{7, "a red person; the blue can left.", "yard: the blue can left; red: a red person; the blue can left.", []string{"visitor", "gone"}},
		{36, "a red person", "", []string{"visitor"}},
		{37, "a red person", "red: a red person", []string{"visitor"}},
		{126, "a person", "person: a person", []string{"visitor"}},
	} {
		a := w.judge(&sdk.Caption{Scene: "yard", Text: c.text, Clock: time.Duration(c.second) * time.Second})
		if a.Action != sdk.Pass || a.Alert != c.alert || !slices.Equal(a.Tags, c.tags) {
			t.Errorf("%d: %+v", i, a)
		}
	}
	w = watching(t, "hall", config)
	if a := w.judge(&sdk.Caption{Text: "a ball."}); a.Alert != "ball: a ball." || !slices.Equal(a.Tags, []string{"toy"}) {
		t.Errorf("in the hall: %+v", a)
	}
	if a := watching(t, "hall", `{"rules":[]}`).judge(&sdk.Caption{Text: "a person"}); a.Alert != "" {
		t.Errorf("without rules: %+v", a)
	}
}

func TestConfigErrors(t *testing.T) {
	for config, want := range map[string]string{
		`{"rule":[]}`:    `unknown field "rule"`,
		`{"rules":{}}`:   "rules",
		`{"rules":[{}]}`: "config: rule 1: neither words nor a pattern",
		`{"rules":[{"words":["a"]},{"words":["a"],"pattern":"b"}]}`:                 "config: rule 2: words and a pattern",
		`{"rules":[{"pattern":"("}]}`:                                               "config: rule 1: pattern: ",
		`{"rules":[{"words":["a",""]}]}`:                                            "config: rule 1: words: an empty one",
		`{"rules":[{"words":["a"],"cooldown":"soon"}]}`:                             `config: cooldown: "soon" is not a time`,
		`{"rules":[{"words":["a"],"cooldown":-1}]}`:                                 "config: cooldown: -1 is not a time",
		`{"rules":[{"words":["a"],"cooldown":-1e300}]}`:                             "config: cooldown: -1e300 is not a time",
		`{"rules":[` + strings.Repeat(`{"words":["a"]},`, 64) + `{"words":["a"]}]}`: "config: 65 rules",
	} {
		err := (&watcher{}).start(&sdk.Start{Config: json.RawMessage(config)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", config, err, want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Fuzz(func(t *testing.T, config []byte, text string) {
		w := &watcher{}
		if w.start(&sdk.Start{Config: config, Permissions: []string{"emit"}}) == nil {
			w.judge(&sdk.Caption{Text: text})
		}
	})
}
