package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func defaultsOf(t *testing.T, text string) *Defaults {
	t.Helper()
	d, err := ParseDefaults("d", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDefaults: what a device says wins, key by key, and where neither says it is as without a bundle.
func TestDefaults(t *testing.T) {
	d := defaultsOf(t, "memory: {mode: window, window: 64}\nprompts: {de: Was ist da?}\nscenes: {interval: 3s, language: de, gate: {pixels: 5, idle: 30s}}\n")
	own := "prompts: {en: What is there?}\nscenes:\n- {name: silent, views: [{name: v, source: 'sim:1/front'}]}\n" +
		"- {name: says, interval: 2s, language: en, gate: {idle: 1s}, views: [{name: v, source: 'sim:1/front'}]}\n"
	f, err := parse("c", []byte(own), d)
	if err != nil {
		t.Fatal(err)
	}
	silent, says := f.Scenes[0], f.Scenes[1]
	if silent.Interval != 3*time.Second || silent.MaxWait != defaultMaxWait || silent.Gate != (Gate{5, -1, 30 * time.Second}) || !reflect.DeepEqual(silent.Prompts, []Prompt{{"de", "Was ist da?"}}) {
		t.Errorf("%+v", silent)
	}
	if says.Interval != 2*time.Second || says.Gate != (Gate{5, -1, time.Second}) || !reflect.DeepEqual(says.Prompts, []Prompt{{"en", "What is there?"}}) {
		t.Errorf("%+v", says)
	}
	if f.Memory != (Memory{Window, 64, defaultSnapshot}) {
		t.Errorf("%+v", f.Memory)
	}
	for text, want := range map[string]Memory{
		"memory: continuous":                       {},
		"memory: {mode: continuous}\n":             {Continuous, 0, defaultSnapshot},
		"memory: {window: 10, snapshot: 1m}\n":     {Window, 10, time.Minute},
		"memory: {mode: window}\n":                 {Window, 64, defaultSnapshot},
		"memory: {mode: continuous, window: 10}\n": {},
	} {
		if f, err := parse("c", []byte(text+small), d); err == nil && f.Memory != want || err != nil && want != (Memory{}) {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}

	without, err := Parse("c", []byte(own))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"memory.mode: window", "memory.window: 64", "scene silent: interval: 3s", "scene silent: gate.pixels: 5", "scene silent: gate.idle: 30s",
		"scene silent: prompts: de: Was ist da?", "scene says: gate.pixels: 5",
	}
	if got := f.Differences(without); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	if d := defaultsOf(t, "# nothing\n"); !reflect.DeepEqual(d, builtin()) {
		t.Errorf("%+v", d)
	}
	// One scene does not change the other's.
	f.Scenes[0].Prompts[0].Question = "x"
	if d.Scene.Prompts[0].Question == "x" {
		t.Error("defaults are shared")
	}
}

// TestDefaultPlugins: of plugins, too, what a device says wins, key by key; of those that it does not name the
// bundle says how they run.
func TestDefaultPlugins(t *testing.T) {
	d := defaultsOf(t, "plugins: [{bundle: a.wasm, rate: 2, memory: 8MiB, size: 320x240}, {bundle: b.wasm, config: {x: 1}, call_limit: 50ms, on_failure: block}]\n")
	own := small + "plugins: [{bundle: a.wasm, rate: 0.5, config: 7}, {bundle: c.wasm}]\n"
	f, err := parse("c", []byte(own), d)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Plugins[0], (Plugin{Bundle: "a.wasm", Rate: 0.5, Memory: 8 << 20, Config: json.RawMessage("7"), Width: 320, Height: 240}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got, want := f.Of("b.wasm"), (Plugin{Bundle: "b.wasm", Config: json.RawMessage(`{"x":1}`), CallLimit: 50 * time.Millisecond, OnFailure: OnFailureBlock}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got, want := f.Of("c.wasm"), (Plugin{Bundle: "c.wasm"}); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(f.Plugins[1], want) {
		t.Errorf("%+v, %+v", got, f.Plugins[1])
	}
	without, err := Parse("c", []byte(own))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"plugin a.wasm: memory: 8388608", "plugin a.wasm: size: 320x240", `plugin b.wasm: config: {"x":1}`, "plugin b.wasm: call_limit: 50ms", "plugin b.wasm: on_failure: block"}
	if got := f.Differences(without); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

// TestDefaultsRefused: what only the device may say is none of a bundle's, and mistakes have their places.
func TestDefaultsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"model: x\n":            `d:1:1: unknown key "model"; known here are memory, plugins, prompts, scenes`,
		"state_dir: /\n":        `d:1:1: unknown key "state_dir"`,
		"socket: {path: /}\n":   `d:1:1: unknown key "socket"`,
		"outputs: []\n":         `d:1:1: unknown key "outputs"`,
		"budgets: {ram: 1MB}\n": `d:1:1: unknown key "budgets"`,
		small:                   `d:1:9: want keys with values`,
		"scenes: {views: []}\n": `d:1:10: unknown key "views"`,
		"scenes: {name: x}\n":   `d:1:10: unknown key "name"`,
		"scenes:\n  interval: soon\nmemory: {mode: x}\n": `d:2:13: "soon": want a time`,
		"scenes: {language: de}\n":                       `d:1:20: "de": prompts has no question in that language`,
		"memory: {window: 3}\n":                          "d:1:9: window is for the mode window",
		"plugins: [{bundle: a, scenes: [x]}]\n":          `d:1:23: unknown key "scenes"`,
		"plugins: [{bundle: a, allow: [emit]}]\n":        `d:1:23: unknown key "allow"`,
		"plugins: [{rate: 2}]\n":                         "d:1:11: want bundle: which of its plugins",
		"plugins: [{bundle: a}, {bundle: a}]\n":          "d:1:24: a of the bundle is there a second time",
		strings.Repeat("#\n", 40<<10):                    "d:1:1: the file has more than 64 KiB",
	} {
		if _, err := ParseDefaults("d", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseDefaults(f *testing.F) {
	f.Add([]byte("memory: {mode: window, window: 64}\nprompts: {de: Was?}\nscenes: {interval: 3s, language: de, gate: {pixels: 5}}\n"))
	f.Add([]byte("scenes:\n  languages: [a, b]\n  max_skew: 1s\n"))
	f.Add([]byte("plugins:\n- {bundle: a.wasm, rate: 0.5, size: 320x240, on_failure: block, config: {x: [1, null]}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDefaults("d", data)
		if err != nil {
			return
		}
		if own, err := parse("c", []byte(small), d); err != nil {
			t.Errorf("a configuration that says nothing else is bad with these defaults: %v", err)
		} else if own.Scenes[0].Name != "a" || len(own.Scenes[0].Views) != 1 {
			t.Errorf("%+v", own.Scenes)
		}
	})
}
