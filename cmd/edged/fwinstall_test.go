package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/backendtest"
	"github.com/visualrwkv/edged/vlm"
)

const fwKeys = "../../fw/testdata/"

// makeBundle writes a signed bundle with that model file, whatever is in it, and with defaults if
// there are any.
func makeBundle(t *testing.T, version uint64, model []byte, defaults ...string) string {
	t.Helper()
	b := &fw.Builder{Manifest: &fw.Manifest{Name: "garden", Version: version}}
	if err := b.Add(fw.Payload{Name: "demo.gguf", Role: fw.RoleModel, Data: bytes.NewReader(model)}); err != nil {
		t.Fatal(err)
	}
	for _, text := range defaults {
		if err := b.Add(fw.Payload{Name: "defaults.yaml", Role: fw.RoleDefaults, Data: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
	return writeBundle(t, b)
}

// writeBundle signs a bundle and writes it into a file.
func writeBundle(t *testing.T, b *fw.Builder) string {
	t.Helper()
	raw, err := b.Raw()
	if err != nil {
		t.Fatal(err)
	}
	key, err := readSecretKey(fwKeys + "minisign.key")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "garden.fw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Write(f, key.Sign(raw, "")), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func modelName(t *testing.T, data []byte) string {
	t.Helper()
	m, err := vlm.OpenBytes("x", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return m.Info().Name
}

// TestInstalled installs a bundle, which proves itself, and one that does not work and is given up.
func TestInstalled(t *testing.T) {
	backendtest.SkipAgain(t)
	state := t.TempDir()
	var told bytes.Buffer
	begin := func(want string, prove bool) {
		t.Helper()
		told.Reset()
		p := &depot{state: state, options: &vlm.Options{Threads: 1}, log: newRunLog(&told), limit: healthLimit, fits: func(*delivery) error { return nil }}
		d, err := p.open(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.model.Close()
		if name := d.model.Info().Name; name != want {
			t.Errorf("model %q runs, want %q:\n%s", name, want, &told)
		}
		if prove && d.trial {
			p.commit(d)
		}
	}
	int8, int4 := modelName(t, demoInt8), modelName(t, demoInt4)
	install := []string{"-trust", fwKeys + "minisign.pub", "-state", state, "-quiet"}

	contains(t, fwRun(t, exitOK, "status", "-state", state), "what the binary brings runs")
	if hasSlots(state) {
		t.Error("looking made something")
	}
	begin(int8, true)
	one := makeBundle(t, 1, demoInt4)
	contains(t, fwRun(t, exitInput, append([]string{"install", one, "-trust", fwKeys + "other.pub"}, install[2:]...)...), "not trusted here")
	contains(t, fwRun(t, exitOK, append([]string{"install", one}, install...)...), `the next start of "edged run", or its next reload, tries it`)
	contains(t, fwRun(t, exitOK, "status", "-state", state), "ready  garden version 1")
	contains(t, fwRun(t, exitFailed, "commit", "-state", state), "has not been started yet")
	begin(int4, false)
	contains(t, fwRun(t, exitOK, "status", "-state", state), "started 1 of 3 times, told to stop 0 of 10")
	begin(int4, true)
	contains(t, told.String(), "garden version 1, slot a proved itself")
	contains(t, fwRun(t, exitOK, "list", "-state", state), "demo.gguf  model")
	contains(t, fwRun(t, exitOK, "status", "-state", state), "slot a runs: garden version 1")
	contains(t, fwRun(t, exitFailed, append([]string{"install", one}, install...)...), "installed already")

	fwRun(t, exitOK, append([]string{"install", makeBundle(t, 2, demoInt8[:len(demoInt8)/2])}, install...)...)
	begin(int4, true)
	contains(t, told.String(), "garden version 2, slot b is given up")
	contains(t, fwRun(t, exitOK, "status", "-state", state, "-json"), `"slot":"b","phase":"bad"`)
	fwRun(t, exitOK, append([]string{"install", makeBundle(t, 3, demoInt8)}, install...)...)
	begin(int8, true)
	begin(int8, true)
	contains(t, fwRun(t, exitOK, "rollback", "-state", state), "slot a runs: garden version 1")
	begin(int4, true)

	// While another bundle is being installed, what ran runs.
	if err := withStore(state, func(*fw.Store, error) error { begin(int4, true); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestInstallSays: what keeps a bundle from being installed is told once, with what can be done about it.
func TestInstallSays(t *testing.T) {
	backendtest.SkipAgain(t)
	dir := t.TempDir()
	bundle := makeBundle(t, 1, demoInt4)
	whole, err := os.ReadFile(bundle)
	cut := filepath.Join(dir, "cut.fw")
	if err = errors.Join(err, os.WriteFile(cut, whole[:len(whole)/2], 0o600)); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	none := filepath.Join(dir, "none.pub")
	for _, c := range []struct{ from, keys, want string }{
		{bundle, none, "the keys that may sign: open " + none + ": no such file or directory; put the public key of whoever signs your bundles there, or name its file with -trust"},
		{cut, fwKeys + "minisign.pub", cut + ": demo.gguf: the bundle ends in the middle: unexpected EOF; what has come is kept, and the same command goes on from there"},
		{server.URL + "/g.fw", fwKeys + "minisign.pub", server.URL + "/g.fw: the server says 404 Not Found"},
	} {
		if got := fwRun(t, exitInput, "install", c.from, "-trust", c.keys, "-state", filepath.Join(dir, "state"), "-quiet"); got != "edged fw install: "+c.want+"\n" {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestDecidedMeanwhile: what becomes of a trial changes nothing once somebody else has ended it.
func TestDecidedMeanwhile(t *testing.T) {
	backendtest.SkipAgain(t)
	state := t.TempDir()
	var told bytes.Buffer
	p := &depot{state: state, options: &vlm.Options{Threads: 1}, log: newRunLog(&told), limit: healthLimit, fits: func(*delivery) error { return nil }}
	install := func(version uint64) *delivery {
		t.Helper()
		fwRun(t, exitOK, "install", makeBundle(t, version, demoInt4), "-trust", fwKeys+"minisign.pub", "-state", state, "-quiet")
		d, err := p.open(t.Context(), "", nil)
		if err != nil || !d.trial {
			t.Fatalf("%+v, %v", d, err)
		}
		t.Cleanup(func() { d.model.Close() })
		return d
	}
	p.commit(install(1))
	d := install(2)
	fwRun(t, exitOK, "rollback", "-state", state)
	if !p.giveUp(d, errors.New("it fails")) || !p.commit(d) {
		t.Error("a trial that was ended goes on")
	}
	out := fwRun(t, exitOK, "status", "-state", state)
	contains(t, out, "slot a runs: garden version 1")
	contains(t, out, "slot b  bad   garden version 2  someone asked for it")
	contains(t, told.String(), "garden version 2, slot b is given up: it fails; somebody had ended the trial before")
	d = install(3)
	fwRun(t, exitOK, "install", makeBundle(t, 4, demoInt4), "-trust", fwKeys+"minisign.pub", "-state", state, "-quiet")
	p.giveUp(d, errors.New("it fails"))
	contains(t, fwRun(t, exitOK, "status", "-state", state), "slot b  ready  garden version 4")
}
