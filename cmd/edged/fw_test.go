package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFW builds, signs, tampers with and verifies a bundle of the embedded model.
func TestFW(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, data []byte) string {
		t.Helper()
		if err := os.WriteFile(at(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		return at(name)
	}
	edged := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := run(append([]string{"fw"}, args...), stdio{strings.NewReader(""), &out, &out}); code != want {
			t.Fatalf("edged fw %q exits with %d, want %d:\n%s", args, code, want, out.String())
		}
		return out.String()
	}
	contains := func(got, want string) {
		t.Helper()
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	model := write("demo.gguf", demoInt4)
	plugin := write("zones.wasm", bytes.Repeat([]byte("zones"), 1000))
	const keys = "../../fw/testdata/"

	build := []string{"build", "-name", "garden", "-version", "7", "-model", model, "-plugin", plugin + "=on_frame,emit", "-o", at("g.fw"), "-quiet"}
	contains(edged(exitOK, build...), "zones.wasm  plugin  5000     may: on_frame, emit")
	contains(edged(exitFailed, "verify", at("g.fw"), "-trust", keys+"minisign.pub"), "is not signed")
	edged(exitOK, "sign", at("g.fw"), "-key", keys+"minisign.key")
	unsigned, signed := at("g.fw"), at("signed.fw")
	edged(exitOK, append(build, "-key", keys+"minisign.key", "-o", signed)...)
	a, _ := os.ReadFile(unsigned)
	b, _ := os.ReadFile(signed)
	if !bytes.Equal(a, b) {
		t.Error("a bundle that was signed later is another one")
	}

	var info bundleInfo
	if err := json.Unmarshal([]byte(edged(exitOK, "verify", signed, "-trust", keys+"minisign.pub", "-json")), &info); err != nil {
		t.Fatal(err)
	}
	if info.Name != "garden" || info.Version != 7 || info.Key != "F64042C48737E57A" || info.Comment != "garden version 7" ||
		len(info.Files) != 2 || info.Files[0].Model == nil || info.Files[0].Model.Variant != "hybrid" {
		t.Errorf("%+v", info)
	}
	contains(edged(exitFailed, "verify", signed, "-trust", keys+"other.pub"), "not trusted here")
	b[len(b)-3000] ^= 1
	write("bad.fw", b)
	contains(edged(exitFailed, "verify", at("bad.fw"), "-trust", keys+"minisign.pub"), "not those that were signed")
	contains(edged(exitInput, "sign", at("bad.fw"), "-key", keys+"minisign.key"), "not those that were signed")
	contains(edged(exitInput, "sign", signed, "-key", keys+"password.key"), "under a password")
	contains(edged(exitInput, "build", "-name", "garden", "-version", "7", "-model", plugin, "-o", at("no.fw")), "zones.wasm")
	contains(edged(exitInput, append(build, "-plugin", plugin)...), "the name zones.wasm is taken")
	contains(edged(exitUsage, "build", "-name", "Garden", "-version", "7", "-o", at("no.fw")), "want -name")
	if _, err := os.Stat(at("no.fw")); err == nil {
		t.Error("a bundle that could not be built is there")
	}
}
