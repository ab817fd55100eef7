package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/vlm"
)

const fwKeys = "../../fw/testdata/"

// makeBundle writes a signed bundle with that model file, whatever is in it.
func makeBundle(t *testing.T, version uint64, model []byte) string {
	t.Helper()
	b := &fw.Builder{Manifest: &fw.Manifest{Name: "garden", Version: version}}
	if err := b.Add(fw.Payload{Name: "demo.gguf", Role: fw.RoleModel, Data: bytes.NewReader(model)}); err != nil {
		t.Fatal(err)
	}
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

// TestInstalled installs a bundle, which proves itself, and one that does not work and is given up.
func TestInstalled(t *testing.T) {
	state := t.TempDir()
	var told bytes.Buffer
	begin := func(want string, prove bool) {
		t.Helper()
		told.Reset()
		m, proved, err := openDelivered(t.Context(), "", state, &vlm.Options{Threads: 1}, newRunLog(&told))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if name := m.Info().Name; name != want {
			t.Errorf("model %q runs, want %q:\n%s", name, want, &told)
		}
		if prove {
			proved()
		}
	}
	name := func(data []byte) string {
		m, err := vlm.OpenBytes("x", data, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return m.Info().Name
	}
	int8, int4 := name(demoInt8), name(demoInt4)
	install := []string{"-trust", fwKeys + "minisign.pub", "-state", state, "-quiet"}

	contains(t, fwRun(t, exitOK, "status", "-state", state), "what the binary brings runs")
	if hasSlots(state) {
		t.Error("looking made something")
	}
	begin(int8, true)
	one := makeBundle(t, 1, demoInt4)
	contains(t, fwRun(t, exitInput, append([]string{"install", one, "-trust", fwKeys + "other.pub"}, install[2:]...)...), "not trusted here")
	contains(t, fwRun(t, exitOK, append([]string{"install", one}, install...)...), `the next start of "edged run" tries it`)
	contains(t, fwRun(t, exitOK, "status", "-state", state), "ready  garden version 1")
	contains(t, fwRun(t, exitFailed, "commit", "-state", state), "has not been started yet")
	begin(int4, false)
	contains(t, fwRun(t, exitOK, "status", "-state", state), "started 1 of 3 times")
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

// TestInstallKilled kills installations, commits and returns at random moments (EDGED_KILLS says how many). After
// each, what ran or what was being installed runs, and is whole.
func TestInstallKilled(t *testing.T) {
	needProcess(t)
	kills := 25
	if s := os.Getenv("EDGED_KILLS"); s != "" {
		kills, _ = strconv.Atoi(s)
	}
	state := t.TempDir()
	var bundles []string
	for v := range uint64(4) {
		bundles = append(bundles, makeBundle(t, v+1, demoInt4))
	}
	random := rand.New(rand.NewPCG(1, 2))
	may := map[uint64]bool{0: true} // versions that may run
	ended, changed := 0, 0
	lasts := 50 * time.Millisecond // an installation that is not killed
	for range kills {
		v := random.Uint64N(4)
		args := [][]string{
			{"install", bundles[v], "-trust", fwKeys + "minisign.pub", "-quiet", "-downgrade"},
			{"install", bundles[v], "-trust", fwKeys + "minisign.pub", "-quiet", "-downgrade"},
			{"commit"}, {"rollback"},
		}[random.IntN(4)]
		p := newProcess(t, append(append([]string{"fw"}, args...), "-state", state)...)
		p.Stdout = io.Discard
		begun := time.Now()
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(random.Int64N(int64(lasts*5/4))), func() { p.Process.Kill() })
		if p.wait() == nil || p.ProcessState.Exited() {
			ended++
		}
		if args[0] == "install" && p.ProcessState.Success() {
			lasts = (lasts + time.Since(begun)) / 2
		}
		kill.Stop()
		if args[0] == "install" {
			may[v+1] = true
		}
		err := withStore(state, func(s *fw.Store, damaged error) error {
			if damaged != nil {
				return damaged
			}
			before := s.State()
			i, err := s.Start()
			if err != nil && before.Starts < fw.MaxStarts {
				return err
			}
			if i == nil {
				return nil
			}
			changed++
			if !may[i.Manifest.Version] {
				t.Errorf("version %d runs, which was never installed", i.Manifest.Version)
			}
			data, err := os.ReadFile(i.Path(&i.Manifest.Files[0]))
			if err != nil || !bytes.Equal(data, demoInt4) {
				t.Errorf("version %d runs and is not whole: %v", i.Manifest.Version, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d ended before they were killed; something installed ran %d times", ended, kills, changed)
}
