package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/wasmtest"
)

// fwRun runs "edged fw", which must exit with want, and returns all that it prints.
func fwRun(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(append([]string{"fw"}, args...), stdio{strings.NewReader(""), &out, &out}); code != want {
		t.Fatalf("edged fw %q exits with %d, want %d:\n%s", args, code, want, out.String())
	}
	return out.String()
}

func contains(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%q is not in\n%s", want, got)
	}
}

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
	model := write("demo.gguf", demoInt4)
	module := wasmtest.Captioner("{}")
	plugin := write("zones.wasm", module)

	build := []string{"build", "-name", "garden", "-version", "7", "-model", model, "-plugin", plugin + "=on_frame,emit", "-o", at("g.fw"), "-quiet"}
	contains(t, fwRun(t, exitOK, build...), fmt.Sprintf("zones.wasm  plugin  %-7d  may: on_frame, emit", len(module)))
	contains(t, fwRun(t, exitFailed, "verify", at("g.fw"), "-trust", fwKeys+"minisign.pub"), "is not signed")
	fwRun(t, exitOK, "sign", at("g.fw"), "-key", fwKeys+"minisign.key")
	unsigned, signed := at("g.fw"), at("signed.fw")
	fwRun(t, exitOK, append(build, "-key", fwKeys+"minisign.key", "-o", signed)...)
	a, _ := os.ReadFile(unsigned)
	b, _ := os.ReadFile(signed)
	if !bytes.Equal(a, b) {
		t.Error("a bundle that was signed later is another one")
	}

	var info bundleInfo
	if err := json.Unmarshal([]byte(fwRun(t, exitOK, "verify", signed, "-trust", fwKeys+"minisign.pub", "-json")), &info); err != nil {
		t.Fatal(err)
	}
	if info.Name != "garden" || info.Version != 7 || info.Key != "F64042C48737E57A" || info.Comment != "garden version 7" ||
		len(info.Files) != 2 || info.Files[0].Model == nil || info.Files[0].Model.Variant != "hybrid" {
		t.Errorf("%+v", info)
	}
	contains(t, fwRun(t, exitFailed, "verify", signed, "-trust", fwKeys+"other.pub"), "not trusted here")
	b[len(b)-3000] ^= 1
	write("bad.fw", b)
	contains(t, fwRun(t, exitFailed, "verify", at("bad.fw"), "-trust", fwKeys+"minisign.pub"), "not those that were signed")
	contains(t, fwRun(t, exitInput, "sign", at("bad.fw"), "-key", fwKeys+"minisign.key"), "not those that were signed")
	contains(t, fwRun(t, exitInput, "sign", signed, "-key", fwKeys+"password.key"), "under a password")
	contains(t, fwRun(t, exitInput, "build", "-name", "garden", "-version", "7", "-model", plugin, "-o", at("no.fw")), "zones.wasm")
	contains(t, fwRun(t, exitInput, append(build, "-plugin", plugin)...), "the name zones.wasm is taken")
	bad := write("bad.wasm", module[:len(module)-1])
	contains(t, fwRun(t, exitInput, "build", "-name", "garden", "-version", "7", "-plugin", bad, "-o", at("no.fw")), "bad.wasm: plugin bad: ")
	contains(t, fwRun(t, exitInput, append(build, "-defaults", write("d.yaml", []byte("plugins: [{bundle: zone.wasm, rate: 2}]\n")))...), "d.yaml: plugin zone.wasm is not in the bundle")
	contains(t, fwRun(t, exitUsage, "build", "-name", "Garden", "-version", "7", "-o", at("no.fw")), "want -name")
	if _, err := os.Stat(at("no.fw")); err == nil {
		t.Error("a bundle that could not be built is there")
	}
}
