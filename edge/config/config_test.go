package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/wire"
)

func TestExample(t *testing.T) {
	f, err := Load("../../docs/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &File{
		Path:     f.Path,
		Model:    "/var/lib/edged/models/visualrwkv-hm-0b4-int8.gguf",
		StateDir: "/var/lib/edged",
		CPUs:     "0-3",
		Socket:   Socket{"/run/edged/edged.sock", 0o660, []Role{{1000, -1, "admin"}, {-1, 44, "view"}}},
		Budgets:  Budgets{RAM: 2 << 30, Disk: 1 << 30, WritesPerDay: 2e9, Celsius: 75},
		Memory:   Memory{Mode: Continuous, Snapshot: 5 * time.Minute},
		Log:      Log{Size: 100 << 20, Age: 90 * 24 * time.Hour},
		Outputs:  []Output{{JSONL: "/var/log/edged/captions.jsonl"}},
		Prompts:  map[string]string{"en": "Describe the scene in one sentence.", "de": "Beschreibe die Szene in einem Satz."},
		WASM:     WASMAuto,
		Plugins: []Plugin{{
			File: "/etc/edged/crossing.wasm", Allow: []string{"on_frame", "emit"}, Scenes: []string{"yard"},
			Config: json.RawMessage(`{"line":[0.1,0.5,0.9,0.5]}`), Memory: 16 << 20, CallLimit: 100 * time.Millisecond, Rate: 5, OnFailure: OnFailurePass,
		}, {
			Bundle: "words.wasm", Config: json.RawMessage(`{"words":["person","dog"]}`),
		}},
		Scenes: []Scene{{
			Name: "hall", Prompts: []Prompt{{"en", "Describe the scene in one sentence."}},
			Interval: time.Second, CaptionInterval: 10 * time.Second, MaxSkew: 500 * time.Millisecond,
			MaxWait: 2 * time.Second, Gate: Gate{Pixels: 8, Idle: 10 * time.Second},
			Views: []View{{
				Name: "door", Source: "v4l2:by-id/usb-Example_Camera_200901010001-video-index0", Width: 640, Height: 480, Rate: 5,
				Controls: map[string]int32{"power_line_frequency": 1},
				Masks:    []camera.Area{{0, 0, 0.3, 0.5}}, Region: camera.Area{0, 0, 1, 0.9}, FrozenAfter: 10 * time.Second,
			}, {Name: "stairs", Source: "csi:0"}},
		}, {
			Name: "yard", Interval: time.Second, MaxSkew: 500 * time.Millisecond, MaxWait: 2 * time.Second, Gate: Gate{State: -1, Idle: 10 * time.Second},
			Views: []View{
				{Name: "gate", Source: "rtsp://user:password@192.168.1.20/stream1"},
				{Name: "garage", Source: "http://192.168.1.21/snapshot.jpg", Rate: 1, Disabled: true},
			},
		}},
	}
	if !filepath.IsAbs(f.Path) {
		t.Errorf("path %s", f.Path)
	}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
}

const small = "scenes: [{name: a, views: [{name: v, source: 'sim:1/front'}]}]\n"

// speaking is a configuration of a scene with some more keys.
func speaking(keys string) string {
	return "prompts: {en: Describe it., de: Beschreibe es., a: a, b: b, c: c}\n" + strings.Replace(small, "name: a", "name: a, "+keys, 1)
}

// TestLanguages: which questions captions answer, in the order in which the scene has them.
func TestLanguages(t *testing.T) {
	for keys, want := range map[string][]Prompt{
		"max_wait: 1s":        nil,
		"prompt: Who?":        {{"", "Who?"}},
		"language: de":        {{"de", "Beschreibe es."}},
		"languages: [de, en]": {{"de", "Beschreibe es."}, {"en", "Describe it."}},
	} {
		f, err := Parse("c", []byte(speaking(keys)))
		if err != nil || !reflect.DeepEqual(f.Scenes[0].Prompts, want) {
			t.Errorf("%s: %+v, %v", keys, f, err)
		}
	}
	// Prompts may stand behind the scenes.
	f, err := Parse("c", []byte(strings.Replace(small, "name: a", "name: a, language: de", 1)+"prompts: {de: Was?}\n"))
	if err != nil || !reflect.DeepEqual(f.Scenes[0].Prompts, []Prompt{{"de", "Was?"}}) {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestPluginConfig: what a plugin is given is the same in JSON, whatever way it is written.
func TestPluginConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{a: 1, b: [0.5, -2, true, null, x], c: {d: ''}}":                   `{"a":1,"b":[0.5,-2,true,null,"x"],"c":{"d":""}}`,
		"\n      a: |\n        two\n        lines\n      \"b\": \"q\\\"q\"": `{"a":"two\nlines\n","b":"q\"q"}`,
		"[]":                         `[]`,
		"18446744073709551615":       `18446744073709551615`,
		"words":                      `"words"`,
		"\n    - {x: 1}\n    - y: 2": `[{"x":1},{"y":2}]`,
	} {
		f, err := Parse("c", []byte(small+"plugins:\n  - file: p\n    allow: [emit]\n    config: "+text+"\n"))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := string(f.Plugins[0].Config); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	// Plugins may stand before the scenes that they name.
	f, err := Parse("/etc/c", []byte("plugins: [{file: p, allow: [emit], scenes: [a]}, {bundle: q, off: true}]\n"+small))
	if err != nil {
		t.Fatal(err)
	}
	if p, q := f.Plugins[0], f.Plugins[1]; p.File != "/etc/p" || p.Config != nil || !p.RunsIn("a") || p.RunsIn("b") || q.RunsIn("a") || f.WASM != WASMAuto {
		t.Errorf("%+v", f.Plugins)
	}
}

func TestPathsCountFromTheFile(t *testing.T) {
	f, err := Parse("/etc/edged/c.yaml", []byte("model: m.gguf\nstate_dir: ../state\nsocket: {path: s}\noutputs: [{jsonl: -}, {jsonl: l}]\n"+
		"scenes: [{name: a, views: [{name: v, source: 'dir:pictures'}]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Model != "/etc/edged/m.gguf" || f.StateDir != "/etc/state" || f.Socket.Path != "/etc/edged/s" ||
		f.Outputs[0].JSONL != "-" || f.Outputs[1].JSONL != "/etc/edged/l" || f.Scenes[0].Views[0].Source != "dir:/etc/edged/pictures" {
		t.Errorf("%+v", f)
	}
}

func TestWindow(t *testing.T) {
	for text, want := range map[string]Memory{
		"memory: {mode: window}\n":                           {Window, 1000, 5 * time.Minute},
		"memory: {mode: window, window: 60, snapshot: 1h}\n": {Window, 60, time.Hour},
		"memory:\n": {Continuous, 0, 5 * time.Minute},
		"memory: {mode: continuous, snapshot: 2d}\nmodel: \n": {Continuous, 0, 48 * time.Hour},
	} {
		f, err := Parse("c", []byte(text+small))
		if err != nil || f.Memory != want {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}
}

// TestErrors: all that is wrong is told at once, in the order of the file, where it is.
func TestErrors(t *testing.T) {
	data, err := os.ReadFile("testdata/wrong.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/wrong.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("wrong.yaml", data)
	if _, ok := errors.AsType[Errors](err); !ok || err.Error()+"\n" != string(want) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                                 "c:1:1: the file says nothing",
		"# only a comment\n":                                               "c:1:1: the file says nothing",
		"model: x\n":                                                       "c:1:1: no scenes",
		"scenes: []\n":                                                     "c:1:9: no scene",
		"- a\n":                                                            "c:1:1: want keys with values",
		"scenes: [\n":                                                      "c:1:9: this [ is not closed: a ] is missing",
		"socket: {path: x\n":                                               "c:1:9: this { is not closed: a } is missing",
		"socket: {path: x\nmodel: y\n":                                     "c:2:1: want , or } before this: a { is not closed, or a comma is missing",
		"scenes: [a\nmodel: y\n":                                           "c:2:1: want , or ] before this: a [ is not closed, or a comma is missing",
		"model: x\nlog:\n\tage: 1d\n":                                      "c:3:1: a tab: indent with spaces",
		"log:\n  age: 1d\n  \tsize: 1\n":                                   "c:3:3: a tab: indent with spaces",
		"scenes:\n-\tname: a\n":                                            "c:2:2: a tab: indent with spaces",
		small + "socket: /run/x\n":                                         "c:2:9: want keys with values, such as {path: ...}",
		small + "outputs: [file]\n":                                        "c:2:11: want keys with values, such as {jsonl: ...}",
		small + "outputs: file\n":                                          "c:2:10: want a list: each item in a line of its own after -",
		small + "budgets: 5GiB\n":                                          "c:2:10: want keys with values; known here are celsius, disk",
		"a\n\tb: 1":                                                        "c:1:1: want a key, a colon and a space before the value",
		small + "model: &a x\n":                                            "c:2:8: anchors and aliases are not used",
		small + "model: *a\n":                                              "c:2:8: anchors and aliases are not used",
		small + "<<: {model: x}\n":                                         "c:2:1: a key must be a plain word",
		small + "model: !!str x\n":                                         "c:2:8: tags are not used",
		small + small:                                                      "already defined",
		small + "---\n" + small:                                            "c:3:1: a second document",
		small + "threads: 1.5\n":                                           `c:2:10: "1.5": want a whole number`,
		small + "socket: {mode: 0460}\n":                                   `c:2:16: "0460": want permissions`,
		small + "socket: {mode: 0888}\n":                                   `c:2:16: "0888": want permissions`,
		small + "budgets: {ram: 1XB}\n":                                    `c:2:16: "1XB": want a size`,
		small + "budgets: {ram: -1}\n":                                     `c:2:16: "-1": want a size`,
		small + "budgets: {celsius: \"NaN\"}\n":                            `"NaN": want a number from 0 to 120`,
		small + "budgets: {ram: .inf}\n":                                   `c:2:16: want a size`,
		small + "memory: {window: 5}\n":                                    "window is for the mode window",
		small + "log: {size: 1000}\n":                                      "c:2:6: a log of 1000 bytes: want 1MiB at least",
		small + "log: {size: 1TiB}\n":                                      "want no more than 68719476736, the most there can be",
		small + "log: {age: 10m}\n":                                        `c:2:12: "10m": want a time from 1h to`,
		small + "log: {days: 3}\n":                                         `unknown key "days"`,
		small + "log: {size: 2MiB}\nbudgets: {disk: 4MiB}\n":               "want no more than 1048576, a quarter of budgets.disk",
		small + "socket: {roles: [{uid: 1}]}\n":                            "want uid or gid, and role",
		small + "socket: {roles: [{role: ask}]}\n":                         "want uid or gid, and role",
		small + "socket: {roles: [{uid: 1, role: root}]}\n":                `"root": want one of view, ask, admin`,
		small + "socket: {roles: [{uid: 1, gid: 2, role: ask}]}\n":         "want uid or gid, and role",
		small + "outputs: [{mqtt: x}]\n":                                   `unknown key "mqtt"`,
		small + "wasm: fast\n":                                             `c:2:7: "fast": want one of auto, compiler, interpreter`,
		small + "plugins: x\n":                                             "c:2:10: want a list",
		small + "plugins: [x]\n":                                           "c:2:11: want keys with values, such as {file: ...}",
		small + "plugins: [{scenes: [a]}]\n":                               "c:2:11: want file, or bundle",
		small + "plugins: [{file: p, bundle: q, allow: [emit]}]\n":         "want file, or bundle",
		small + "plugins: [{file: p}]\n":                                   "c:2:11: a file needs allow: what it may do, of on_frame, mask, pixels, on_caption, replace, emit",
		small + "plugins: [{file: p, allow: [fly]}]\n":                     `c:2:29: "fly": want one of on_frame, mask, pixels`,
		small + "plugins: [{file: p, allow: [emit, emit]}]\n":              "c:2:35: emit is there a second time",
		small + "plugins: [{bundle: p, allow: [emit]}]\n":                  "allow is for files",
		small + "plugins: [{file: p, allow: [emit], off: true}]\n":         "off is for plugins of a bundle",
		small + "plugins: [{bundle: p}, {bundle: p}]\n":                    "c:2:24: p of the bundle is there a second time",
		small + "plugins: [{bundle: p, scenes: [b]}]\n":                    `c:2:32: no scene is called "b"`,
		small + "plugins: [{bundle: p, scenes: []}]\n":                     "c:2:31: no scene",
		small + "plugins: [{bundle: p, scenes: [a, a]}]\n":                 "c:2:35: scene a is there a second time",
		small + "plugins: [{bundle: p, memory: 1GiB}]\n":                   "c:2:31: 1073741824 bytes: want 64KiB to 256MiB",
		small + "plugins: [{bundle: p, call_limit: 1h}]\n":                 `c:2:35: "1h": want a time from 1ms to 10s`,
		small + "plugins: [{bundle: p, rate: 0}]\n":                        `c:2:29: "0": want a number from 0.1 to 30`,
		small + "plugins: [{file: p, allow: [on_frame], size: 320x240}]\n": `c:2:11: size is for plugins that are allowed pixels`,
		small + "plugins: [{bundle: p, on_failure: open}]\n":               `c:2:35: "open": want one of pass, block`,
		small + "plugins: [{bundle: p, rate: often}]\n":                    `c:2:29: "often": want a number from 0.1 to 30`,
		small + "plugins: [{bundle: p, config: {a: .inf}}]\n":              "c:2:35: want a text, a number, true, false, a list or keys with values",
		small + "plugins: [{bundle: p, config: {1: b}}]\n":                 "a key must be a plain word",
		small + "plugins: [{bundle: p, config: &x {a: b}}]\n":              "anchors and aliases are not used",
		small + "plugins: [" + strings.Repeat("{file: p, allow: [emit]}, ", maxPlugins+1) + "]\n":                  "more than 16 plugins",
		full(maxScenes, 0) + "plugins: [" + strings.Repeat("{file: p, allow: [emit]}, ", 3) + "]\n":                "more than 32 plugins that run, each counted in every scene",
		strings.Replace(small, "name: a", "interval: 1s", 1):                                                       "a scene needs a name",
		strings.Replace(small, "name: a", "name: a, language: de", 1):                                              `c:1:30: "de": prompts has no question in that language`,
		speaking("languages: [en, fr, de]"):                                                                        "c:2:36: \"fr\": prompts has no question in that language\n    2 | scenes: [{name: a, languages: [en, fr, de], views: [{name: v, source: 'sim:1/front'}]}]\n      |                                    ^",
		speaking("languages: [en, de, en]"):                                                                        `c:2:40: "en" is there a second time`,
		speaking("languages: [en, de, a, b, c]"):                                                                   "c:2:46: more than 4 languages",
		speaking("languages: []"):                                                                                  "c:2:31: no language",
		speaking("languages: en"):                                                                                  "c:2:31: want a list",
		speaking("languages: [[en]]"):                                                                              "c:2:32: want a language, one of prompts",
		speaking("language: en, languages: [de]"):                                                                  "c:2:45: languages besides language: want one of language, languages and prompt",
		speaking("languages: [de], prompt: x"):                                                                     "c:2:45: prompt besides languages",
		speaking("language: " + strings.Repeat("l", 65)):                                                           "the name of a language has more than 64 bytes",
		strings.Replace(small, "name: a", "name: a b", 1):                                                          `name "a b": want up to 64 letters`,
		strings.Replace(small, "name: v", "name: v, enabled: false", 1):                                            "all of its views are disabled",
		strings.Replace(small, "name: v", "name: v, size: 5", 1):                                                   `"5": want a size, such as 640x480`,
		strings.Replace(small, "name: v", "name: v, masks: [[0, 0, 0, 1]]", 1):                                     "an area of nothing",
		strings.Replace(small, "name: v", "name: v, masks: [[0, 0, 2, 1]]", 1):                                     `"2": want a number from 0 to 1`,
		strings.Replace(small, "sim:1/front", "sim:1/roof", 1):                                                     `this room has no camera "roof"; it has front, side`,
		strings.Replace(small, "sim:1/front", "/dev/video0", 1):                                                    `did you mean "v4l2:/dev/video0"?`,
		strings.Replace(small, "sim:1/front", "/a/film.mp4", 1):                                                    "a path has file: or dir: before it",
		strings.Replace(small, "sim:1/front", "usb:0", 1):                                                          "want KIND:REST with one of the kinds",
		"scenes: [{name: a, views: [{name: v, source: 'csi:0'}]}, {name: a, views: [{name: v, source: 'csi:0'}]}]": `a second scene is called "a"`,
		"scenes: [{name: a, views: [{name: v, source: 'csi:0'}, {name: v, source: 'csi:1'}]}]":                     `a second view is called "v"`,
		strings.Repeat("[", maxBrackets+1):                                                                         "more than 1024 brackets",
		strings.Repeat("- ", maxLine):                                                                              "more than 4096 bytes",
		strings.Repeat("#\n", maxFile):                                                                             "more than 64 KiB",
		"model: \x00\n":                                                                                            "this is no text",
	} {
		_, err := Parse("c", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v\nwant %s", text, err, want)
		}
	}
}

// full is a file of n scenes and as many views as there may be, and of extra ones in the last
// scene.
func full(n, extra int) string {
	var b strings.Builder
	b.WriteString("scenes:\n")
	for s := range n {
		views := maxAllViews / n
		if s == n-1 {
			views += extra
		}
		fmt.Fprintf(&b, "- name: s%d\n  views:\n", s)
		for v := range views {
			fmt.Fprintf(&b, "  - {name: v%d, source: 'csi:0', enabled: %t}\n", v, v == 0)
		}
	}
	return b.String()
}

// TestStatusFits: the largest file that is taken makes a status that clients take, whatever
// there is to tell of each scene and view.
func TestStatusFits(t *testing.T) {
	f, err := Parse("c", []byte(full(maxScenes, 0)))
	if err != nil {
		t.Fatal(err)
	}
	var st wire.Status
	st.Scenes = make([]wire.SceneStatus, len(f.Scenes))
	for i, s := range f.Scenes {
		st.Scenes[i].Views = make([]wire.ViewStatus, len(s.Views))
		st.Scenes[i].Langs = make([]string, maxLanguages)
	}
	st.Problems = make([]string, maxScenes)
	st.Plugins = make([]wire.PluginStatus, MaxRunning)
	for i := range st.Plugins {
		st.Plugins[i].Permissions = make([]string, len(fw.Permissions))
	}
	fill(reflect.ValueOf(&st).Elem())
	frame, err := wire.Append(nil, 1, &st)
	if err != nil {
		t.Fatal(err)
	}
	if _, m, err := wire.ParseReply(frame[4:]); err != nil || !reflect.DeepEqual(m, &st) {
		t.Errorf("%d bytes came back differently: %v", len(frame), err)
	}
	_, err = Parse("c", []byte(full(maxScenes, 1)))
	if want := "c:92:3: with the 5 views of scene s15 there are more than 64 in all"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// fill gives every field a value that is told, texts long ones.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		if v.Len() == 0 {
			panic("how long can a " + v.Type().String() + " be?")
		}
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString(strings.Repeat("x", 1<<10))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(1 << 30)
	case reflect.Uint16:
		v.SetUint(1 << 15)
	case reflect.Int64:
		v.SetInt(1 << 60)
	case reflect.Uint64:
		v.SetUint(1 << 60)
	case reflect.Float64:
		v.SetFloat(0.1)
	default:
		panic(v.Type().String())
	}
}

// TestPasswordsStayHidden: an error about a line with a camera's password does not tell it.
func TestPasswordsStayHidden(t *testing.T) {
	for _, source := range []string{"rtp://me:secret@cam/x", "rtsp://me:sec ret@cam:x/x?secret", "http://me:secret%@cam/x"} {
		_, err := Parse("c", []byte("scenes:\n- name: a\n  views:\n  - name: v\n    source: \""+source+"\"\n"))
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec ret") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestManyErrors(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		b.WriteString(strings.Repeat("x", i+1) + ": 1\n")
	}
	_, err := Parse("c", []byte(b.String()+small))
	if e, ok := errors.AsType[Errors](err); !ok || len(e) != maxErrors {
		t.Errorf("%v", err)
	}
}

func TestLoad(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
	f, err := Load("../../docs/example-sim.yaml")
	if err != nil || len(f.Scenes) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, path := range []string{"../../docs/example.yaml", "../../docs/example-sim.yaml", "testdata/wrong.yaml"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"))
	f.Add([]byte("? [a]\n: - {b: |\n   c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("c", data)
		if err != nil {
			if e, ok := errors.AsType[Errors](err); !ok || len(e) == 0 {
				t.Errorf("%T %v", err, err)
			}
			return
		}
		if len(c.Scenes) == 0 {
			t.Error("accepted without a scene")
		}
		for _, s := range c.Scenes {
			if s.Name == "" || len(s.Views) == 0 {
				t.Errorf("scene %+v", s)
			}
		}
	})
}
