package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/wasmtest"
	"github.com/visualrwkv/edged/wire"
)

func pluginFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// untilTagged watches until a caption or an alert has exactly these tags.
func untilTagged(t *testing.T, c *client.Client, kind string, tags ...string) *wire.Event {
	t.Helper()
	for e, err := range c.Watch(t.Context(), &wire.Watch{From: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == kind && slices.Equal(e.Tags, tags) {
			return e
		}
	}
	t.Fatal("the watch ended")
	return nil
}

// TestRunPlugins: a plugin of the configuration tags and alerts, everybody is told, and another
// takes its place while the scene goes on.
func TestRunPlugins(t *testing.T) {
	dir := t.TempDir()
	pluginFile(t, dir, "words.wasm", wasmtest.Captioner(`{"tags":["old"],"alert":"look!"}`))
	configure := func(plugins string) string {
		t.Helper()
		return pluginFile(t, dir, "c.yaml", []byte(plugins+"scenes: [{name: a, interval: 10ms, views: [{name: v, rate: 100, source: 'sim:1/front'}]}]\n"))
	}
	const words = "plugins: [{file: words.wasm, allow: [on_caption, emit], memory: 1MiB, call_limit: 10s}]\n"
	r, c := startRun(t, configure(words))
	untilTagged(t, c, wire.EventCaption, "old")
	alert := untilTagged(t, c, wire.EventAlert, "old")
	if alert.Text != "look!" || alert.Plugin != "words" || alert.Scene != "a" || alert.Seq == 0 || alert.Frame == 0 {
		t.Errorf("%+v", alert)
	}
	code, out, stderr := runCommand(t, "log", "-socket", r.socket, "-event", "alert", "-json")
	var logged jsonEvent
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &logged); err != nil || code != exitOK || logged.Type != "alert" || logged.Text != "look!" || logged.Plugin != "words" {
		t.Errorf("log: %d, %q, %q, %v", code, out, stderr, err)
	}
	_, out, _ = runCommand(t, "status", "-socket", r.socket)
	contains(t, out, "plugin words: running, may on_caption, emit; ")

	// The file is another one; then one that is no plugin, which changes nothing; then none is configured.
	pluginFile(t, dir, "words.wasm", wasmtest.Captioner(`{"tags":["new"]}`))
	r.reload(t, "the configuration was read again: 1 scene, of which 0 began anew", 1)
	untilTagged(t, c, wire.EventCaption, "new")
	pluginFile(t, dir, "words.wasm", []byte("no plugin"))
	r.reload(t, "the configuration is not used, the one before goes on:", 1)
	contains(t, r.err.String(), filepath.Join(dir, "words.wasm")+": plugin words: ")
	st, err := c.Status(t.Context())
	if err != nil || len(st.Plugins) != 1 || st.Plugins[0].State != wire.PluginRunning {
		t.Errorf("%+v, %v", st.Plugins, err)
	}
	configure("")
	r.reload(t, "the configuration was read again: 1 scene, of which 0 began anew", 2)
	if st, err := c.Status(t.Context()); err != nil || len(st.Plugins) != 0 {
		t.Errorf("%+v, %v", st.Plugins, err)
	}
	c.Close()
	r.stop(t)
	if n := strings.Count(r.err.String(), "a: watching"); n != 1 {
		t.Errorf("the scene began %d times", n)
	}
	contains(t, r.err.String(), "plugins are run by the ")

	// What is no plugin keeps edged from nothing.
	configure(words)
	c = r.start(t)
	waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Captions > 0 })
	_, out, _ = runCommand(t, "status", "-socket", r.socket)
	contains(t, out, "plugin words: disabled (")
	c.Close()
	r.stop(t)
}

// TestRAMPlugins: a plan counts the memory that plugins may take in each scene.
func TestRAMPlugins(t *testing.T) {
	dir := t.TempDir()
	pluginFile(t, dir, "words.wasm", wasmtest.Captioner(`{}`))
	text := "budgets: {ram: 600MiB}\nplugins: [{file: words.wasm, allow: [on_caption], memory: %s}]\n" +
		"scenes: [{name: a, views: [{name: v, source: 'sim:1/front'}]}, {name: b, views: [{name: v, source: 'sim:1/front'}]}]\n"
	r, c := startRun(t, pluginFile(t, dir, "c.yaml", fmt.Appendf(nil, text, "16MiB")))
	c.Close()
	r.stop(t)
	path := pluginFile(t, dir, "c.yaml", fmt.Appendf(nil, text, "256MiB"))
	code, _, stderr := runCommand(t, "run", "-config", path, "-state", filepath.Join(dir, "state"), "-socket", testSocket(t))
	if code != exitFailed || !strings.Contains(stderr, "for plugins, ") || !strings.Contains(stderr, "more than 600 MiB, budgets.ram of the configuration") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

// TestCheckPlugins: "edged check" says what is wrong with a plugin.
func TestCheckPlugins(t *testing.T) {
	dir := t.TempDir()
	lacks := wasmtest.Module{Funcs: []wasmtest.Func{{Export: "edged_abi_version", Results: "i", Code: wasmtest.I32(1)}}, Pages: 1}
	wrong := wasmtest.Module{Funcs: []wasmtest.Func{{Export: "edged_abi_version", Results: "I", Code: wasmtest.I64(1)}}, Pages: 1}
	asks := wasmtest.Module{Imports: []wasmtest.Import{{Module: "env", Name: "socket"}}, Funcs: lacks.Funcs, Pages: 1}
	for name, c := range map[string]struct {
		data []byte
		want []string
	}{
		"good.wasm":  {wasmtest.Captioner(`{}`), nil},
		"none.wasm":  {nil, []string{"plugin none: ", "no such file"}},
		"text.wasm":  {[]byte("hello"), []string{"text.wasm: plugin text: "}},
		"lacks.wasm": {lacks.Bytes(), []string{"plugin lacks: ", "edged_alloc"}},
		"wrong.wasm": {wrong.Bytes(), []string{"plugin wrong: ", "edged_abi_version"}},
		"asks.wasm":  {asks.Bytes(), []string{"plugin asks: ", "env", "socket"}},
	} {
		if c.data != nil {
			pluginFile(t, dir, name, c.data)
		}
		path := pluginFile(t, dir, "c.yaml", []byte("plugins: [{file: "+name+", allow: [on_caption]}]\nscenes: [{name: a, views: [{name: v, source: 'sim:1/front'}]}]\n"))
		code, _, stderr := runCommand(t, "check", "-config", path)
		if (code == exitOK) != (c.want == nil) || code != exitOK && code != exitInput {
			t.Errorf("%s: code %d, %q", name, code, stderr)
		}
		for _, want := range c.want {
			contains(t, stderr, want)
		}
	}
}

// pluginBundle is a signed bundle of one plugin, which may tag captions.
func pluginBundle(t *testing.T, version uint64, name string, wasm []byte) string {
	t.Helper()
	path := pluginFile(t, t.TempDir(), name, wasm)
	b := filepath.Join(t.TempDir(), "b.fw")
	fwRun(t, exitOK, "build", "-name", "garden", "-version", fmt.Sprint(version), "-plugin", path+"=on_caption", "-key", fwKeys+"minisign.key", "-o", b, "-quiet")
	return b
}

// TestBundlePlugins: plugins come and go with their bundle, with the permissions of its manifest,
// and one that does not start has its bundle given up.
func TestBundlePlugins(t *testing.T) {
	if testing.Short() {
		t.Skip("four models are tried")
	}
	r, c := startRun(t, twoRooms(t, "plugins: [{bundle: words.wasm, scenes: [a], call_limit: 10s}, {bundle: other.wasm, off: true}]\n"))
	contains(t, r.err.String(), "plugins: words.wasm, other.wasm of the configuration: what runs has brought no such plugin")
	r.install(t, pluginBundle(t, 1, "words.wasm", wasmtest.Captioner(`{"tags":["one"],"alert":"not allowed"}`)))
	r.reload(t, "garden version 1, slot a proved itself", 1)
	untilTagged(t, c, wire.EventCaption, "one")
	st, err := c.Status(t.Context())
	if err != nil || len(st.Plugins) != 1 || st.Plugins[0].Scene != "a" || !slices.Equal(st.Plugins[0].Permissions, []string{"on_caption"}) {
		t.Errorf("%+v, %v", st.Plugins, err)
	}

	refuses := wasmtest.Module{
		Funcs: []wasmtest.Func{
			{Export: "edged_abi_version", Results: "i", Code: wasmtest.I32(1)},
			{Export: "edged_alloc", Params: "i", Results: "i", Code: wasmtest.I32(64)},
			{Export: "edged_on_start", Params: "ii", Results: "i", Code: wasmtest.I32(7)},
			{Export: "edged_on_caption", Params: "ii", Results: "I", Code: wasmtest.I64(0)},
		},
		Pages: 1,
	}
	r.install(t, pluginBundle(t, 3, "words.wasm", refuses.Bytes()))
	r.reload(t, "garden version 3, slot b is given up: scene a: plugin words: it refused to start", 1)
	if st, err := c.Status(t.Context()); err != nil || len(st.Plugins) != 1 || st.Plugins[0].State != wire.PluginRunning {
		t.Errorf("%+v, %v", st.Plugins, err)
	}
	contains(t, fwRun(t, exitOK, "status", "-state", r.state), "slot a runs: garden version 1")
	code, out, stderr := runCommand(t, "check", "-config", r.config, "-state", r.state)
	if code != exitOK || !strings.HasSuffix(out, "from garden version 1, slot a:\n  plugin words.wasm, may on_caption, in 1 scene\n  no plugin other.wasm, which the configuration names\n") {
		t.Errorf("check: %d, %q, %q", code, out, stderr)
	}

	// Not in the configuration, it runs in both scenes.
	r.install(t, pluginBundle(t, 4, "more.wasm", wasmtest.Captioner(`{"tags":["more"]}`)))
	r.reload(t, "garden version 4, slot b proved itself", 1)
	if e := untilTagged(t, c, wire.EventCaption, "more"); len(e.Text) == 0 {
		t.Errorf("%+v", e)
	}
	if st, err := c.Status(t.Context()); err != nil || len(st.Plugins) != 2 || st.Plugins[1].Scene != "b" {
		t.Errorf("%+v, %v", st.Plugins, err)
	}
	alerts := 0
	for _, err := range c.Search(t.Context(), &wire.Search{Event: wire.EventAlert}) {
		if err != nil {
			t.Fatal(err)
		}
		alerts++
	}
	if alerts != 0 {
		t.Errorf("%d alerts that were not allowed", alerts)
	}
	c.Close()
	r.stop(t)
}

// TestSpecs: plugins of a bundle come first unless the configuration says where they run.
func TestSpecs(t *testing.T) {
	m := &fw.Manifest{Files: []fw.File{
		{Name: "one.wasm", Role: fw.RolePlugin, Permissions: []string{"on_frame"}}, {Name: "model", Role: fw.RoleModel},
		{Name: "two.wasm", Role: fw.RolePlugin}, {Name: "three.wasm", Role: fw.RolePlugin},
	}}
	bundle := bundledPlugins(m, func(f *fw.File) string { return "/slot/" + f.Name })
	f, err := config.Parse("/c.yaml", []byte("plugins: [{file: own.wasm, allow: [emit]}, {bundle: two.wasm, config: {x: 1}, scenes: [b]}, {bundle: three.wasm, off: true}, {bundle: four.wasm}, {bundle: five.wasm, on_failure: block}]\n"+
		"scenes: [{name: a, views: [{name: v, source: 'sim:1/front'}]}, {name: b, views: [{name: v, source: 'sim:1/front'}]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	all, absent := specs(f, bundle)
	var got []string
	for _, s := range all {
		got = append(got, fmt.Sprintf("%s %s %v a:%v b:%v %s", s.name, s.path, s.permissions, s.RunsIn("a"), s.RunsIn("b"), s.Config))
	}
	want := []string{
		"one /slot/one.wasm [on_frame] a:true b:true ",
		"own /own.wasm [emit] a:true b:true ",
		`two /slot/two.wasm [] a:false b:true {"x":1}`,
		"three /slot/three.wasm [] a:false b:false ",
		"five  [] a:true b:true ",
	}
	if !slices.Equal(got, want) || !slices.Equal(absent, []string{"four.wasm", "five.wasm"}) {
		t.Errorf("%q, absent %q", got, absent)
	}
}

// TestDemoPlugin: a plugin runs in the demo and may do everything, which is said, and what it wants to
// be known is shown.
func TestDemoPlugin(t *testing.T) {
	path := pluginFile(t, t.TempDir(), "words.wasm", wasmtest.Captioner(`{"tags":["box"],"alert":"look!"}`))
	args := func(more ...string) []string {
		return append([]string{"demo", "-frames", "2", "-socket", testSocket(t)}, more...)
	}
	_, plain, _ := runCommand(t, args("-json")...)
	code, out, stderr := runCommand(t, args("-json", "-plugin", path)...)
	if code != exitOK || stderr != "edged demo: plugin "+path+" may do everything that a plugin can: on_frame, mask, pixels, on_caption, replace, emit\n" {
		t.Fatalf("code %d, %q", code, stderr)
	}
	var captions, alerts []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, `{"type":"alert",`) {
			alerts = append(alerts, line)
			continue
		}
		captions = append(captions, line)
	}
	_, s := parseDemo(t, strings.Join(captions, ""))
	before, sum := parseDemo(t, plain)
	if len(captions)-1 != len(before) || len(alerts) != len(before) || s.Captions != sum.Captions || s.Frames != 2 {
		t.Errorf("%s\n%s", out, plain)
	}
	want := fmt.Sprintf(`{"type":"alert","scene":"room","frame":%d,"text":"look!","tags":["box"],"plugin":"words","view":""}`+"\n", before[0].Frame)
	if alerts[0] != want || !strings.Contains(captions[0], `"tags":["box"]`) {
		t.Errorf("%s%s want %s", captions[0], alerts[0], want)
	}
	if testing.Short() {
		return
	}
	_, out, _ = runCommand(t, args("-plugin", path)...)
	contains(t, out, "  [box]")
	contains(t, out, "  !! look!  [box]\n")

	refuses := wasmtest.Module{
		Funcs: []wasmtest.Func{
			{Export: "edged_abi_version", Results: "i", Code: wasmtest.I32(2)},
			{Export: "edged_alloc", Params: "i", Results: "i", Code: wasmtest.I32(64)},
			{Export: "edged_on_caption", Params: "ii", Results: "I", Code: wasmtest.I64(0)},
		},
		Pages: 1,
	}
	path = pluginFile(t, t.TempDir(), "later.wasm", refuses.Bytes())
	code, _, stderr = runCommand(t, args("-plugin", path)...)
	if code != exitOK || !strings.Contains(stderr, "edged demo: later: it is not used: plugin later: edged_abi_version answers 2") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

// TestRunPluginRate: plugins are asked about pictures at their rate, however seldom the model looks.
func TestRunPluginRate(t *testing.T) {
	dir := t.TempDir()
	const alert = `{"text":"moved"}`
	code := wasmtest.Code(wasmtest.I32(wasmtest.GuestAnswer), wasmtest.I32(int32(len(alert))), wasmtest.Call(wasmtest.GuestEmit), wasmtest.I64(0))
	pluginFile(t, dir, "eye.wasm", wasmtest.Guest(code, nil, wasmtest.Data{At: wasmtest.GuestAnswer, Bytes: alert}))
	const text = "plugins: [{file: eye.wasm, allow: [on_frame, emit], rate: 12.5, call_limit: 10s}]\n" +
		"scenes: [{name: a, interval: 1h, views: [{name: v, rate: 100, source: 'sim:1/front'}]}]\n"
	path := pluginFile(t, dir, "c.yaml", []byte(text))
	f, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	h := newPluginHost(f.WASM, "", nil)
	defer h.close()
	if set := h.load(t.Context(), f, nil); len(set) != 1 || set[0].Rate != 12.5 {
		t.Errorf("%+v", set)
	}
	r, c := startRun(t, path)
	var times []int64
	for e, err := range c.Watch(t.Context(), &wire.Watch{From: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event != wire.EventAlert {
			continue
		}
		if e.Text != "moved" || e.View != "v" || e.Frame != 0 {
			t.Errorf("%+v", e)
		}
		if times = append(times, e.Time); len(times) == 3 {
			break
		}
	}
	if !(times[0] < times[1] && times[1] < times[2]) {
		t.Errorf("pictures of %d", times)
	}
	c.Close()
	r.stop(t)
}

// TestRunBlocks: a plugin that is to mask and does not start lets nothing be seen, which "edged status" tells; that
// keeps no configuration from being read.
func TestRunBlocks(t *testing.T) {
	dir := t.TempDir()
	const scenes = "scenes: [{name: a, interval: 10ms, views: [{name: v, rate: 100, source: 'sim:1/front'}]}]\n"
	configure := func(plugin string) string {
		return pluginFile(t, dir, "c.yaml", []byte("plugins: ["+plugin+"]\n"+scenes))
	}
	r, c := startRun(t, configure("{file: mask.wasm, allow: [on_frame, mask]}"))
	room := waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Views[0].Skipped > 0 })["a"]
	if room.Views[0].State != wire.ViewBlocked || room.Frames != 0 {
		t.Errorf("%+v", room)
	}
	_, out, _ := runCommand(t, "status", "-socket", r.socket)
	contains(t, out, "plugin mask has not answered, it is disabled: plugin mask: open "+filepath.Join(dir, "mask.wasm")+": no such file")
	contains(t, out, ", may on_frame, mask; 0 calls of 0.0 ms, 0.0 at most, 0 failed; left out 0; blocked ")
	_, out, _ = runCommand(t, "status", "-socket", r.socket, "-json")
	contains(t, out, `"state":"blocked","reason":"plugin mask has not answered`)
	contains(t, out, `"blocks":true,"blocked":`)

	configure("{bundle: mask.wasm, on_failure: block}")
	r.reload(t, "the configuration was read again: 1 scene, of which 0 began anew", 1)
	room = waitScenes(t, c, func(s wire.SceneStatus) bool {
		return strings.Contains(s.Views[0].Reason, "brought no mask.wasm") || s.Frames > 0
	})["a"]
	if room.Frames != 0 {
		t.Errorf("%+v", room)
	}
	configure("")
	r.reload(t, "the configuration was read again: 1 scene, of which 0 began anew", 2)
	waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Captions > 0 && s.Views[0].State == wire.ViewLive })
	c.Close()
	r.stop(t)
}
