package fw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/visualrwkv/edged/internal/disk"
	"github.com/visualrwkv/edged/internal/faultdisk"
)

// version builds a small signed bundle.
func version(t testing.TB, n uint64, keys ...PublicKey) []byte {
	t.Helper()
	if testing.Short() {
		return makeVersion(t, n, 1, keys...)
	}
	return makeVersion(t, n, 7, keys...)
}

// makeVersion builds one with a model of three sectors that tells versions apart, a plugin that is compressed, and
// others that are not.
func makeVersion(t testing.TB, n uint64, others int, keys ...PublicKey) []byte {
	t.Helper()
	b := &Builder{Manifest: &Manifest{Name: "garden", Version: n}}
	for _, k := range keys {
		b.Manifest.Keys = append(b.Manifest.Keys, k.String())
	}
	model := bytes.Repeat([]byte{byte(n)}, 1500)
	add := func(name string, role Role, data []byte) {
		t.Helper()
		must(t, b.Add(Payload{Name: name, Role: role, Data: bytes.NewReader(data)}))
	}
	add("demo.gguf", RoleModel, model)
	add("zones.wasm", RolePlugin, bytes.Repeat([]byte{byte(n), 1, 2}, 300))
	for i := range others {
		add(fmt.Sprintf("%d-%d.wasm", n, i), RolePlugin, []byte{byte(n), byte(i)})
	}
	raw, err := b.Raw()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := b.Write(&out, secret(t).Sign(raw, "")); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const folder = "/state/fw"

func store(t testing.TB, fsys disk.FS) *Store {
	t.Helper()
	s, err := OpenStore(fsys, folder)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// install opens the store and the bundle and installs it, as a process does.
func install(fsys disk.FS, bundle []byte, trusted []PublicKey, o InstallOptions) error {
	s, err := OpenStore(fsys, folder)
	if err != nil {
		return err
	}
	b, err := Open(bytes.NewReader(bundle), trusted)
	if err != nil {
		return err
	}
	return s.Install(b, &o)
}

// running starts what is installed, checks that it is whole, and says its version; 0 is the binary's.
func running(t testing.TB, fsys disk.FS) (v uint64, trial bool) {
	t.Helper()
	s := store(t, fsys)
	i, err := s.Start(t.Context(), "")
	if i == nil {
		if s.s.Active != "" {
			t.Fatalf("nothing runs: %v", err)
		}
		return 0, false
	}
	if err := i.check(t.Context()); err != nil {
		t.Fatalf("version %d runs and is not whole: %v", i.Manifest.Version, err)
	}
	return i.Manifest.Version, i.Trial
}

func want(t *testing.T, fsys disk.FS, version uint64, trial bool) {
	t.Helper()
	if v, tr := running(t, fsys); v != version || tr != trial {
		t.Fatalf("version %d runs, on trial: %v; want %d, %v", v, tr, version, trial)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	d, trusted := faultdisk.New(), keys(t, "minisign.pub")
	want(t, d, 0, false)
	must(t, install(d, version(t, 1), trusted, InstallOptions{}))
	if err := store(t, d).Commit(); err == nil {
		t.Error("what never ran is committed")
	}
	want(t, d, 1, true)
	if err := install(d, version(t, 1), trusted, InstallOptions{}); !errors.Is(err, ErrInstalled) {
		t.Errorf("installed twice: %v", err)
	}
	must(t, store(t, d).Commit())
	want(t, d, 1, false)

	// One that never proves itself is started three times.
	must(t, install(d, version(t, 2), trusted, InstallOptions{}))
	for range MaxStarts {
		want(t, d, 2, true)
	}
	want(t, d, 1, false)
	if err := install(d, version(t, 2), trusted, InstallOptions{}); err == nil || !strings.Contains(err.Error(), "started 3 times") {
		t.Errorf("what was given up is installed again: %v", err)
	}
	must(t, install(d, version(t, 3), trusted, InstallOptions{}))
	want(t, d, 3, true)
	must(t, store(t, d).Rollback("no caption in time"))
	want(t, d, 1, false)
	must(t, install(d, version(t, 4), trusted, InstallOptions{}))
	want(t, d, 4, true)
	must(t, store(t, d).Commit())
	want(t, d, 4, false)

	if err := install(d, version(t, 2), trusted, InstallOptions{}); err == nil || !strings.Contains(err.Error(), "not higher than version 4") {
		t.Errorf("an older version is installed: %v", err)
	}
	must(t, store(t, d).Rollback("asked for"))
	want(t, d, 1, false)
	must(t, install(d, version(t, 2), trusted, InstallOptions{Downgrade: true}))
	want(t, d, 2, true)
	must(t, store(t, d).Commit())
	must(t, store(t, d).Rollback("asked for"))
	want(t, d, 1, false)
	must(t, store(t, d).Rollback("asked for"))
	want(t, d, 0, false)
	if err := store(t, d).Rollback("asked for"); err == nil {
		t.Error("nothing was rolled back")
	}
}

// TestRotation: keys that a bundle brings count once it has proved itself, and stay.
func TestRotation(t *testing.T) {
	d, old, both := faultdisk.New(), keys(t, "minisign.pub"), keys(t, "minisign.pub", "other.pub")
	must(t, install(d, version(t, 1), old, InstallOptions{}))
	want(t, d, 1, true)
	must(t, store(t, d).Commit())
	if k := store(t, d).Keys(); k != nil {
		t.Errorf("keys %v", k)
	}
	must(t, install(d, version(t, 2, both...), old, InstallOptions{}))
	want(t, d, 2, true)
	if k := store(t, d).Keys(); k != nil {
		t.Errorf("on trial, its keys count: %v", k)
	}
	must(t, store(t, d).Commit())
	if k := store(t, d).Keys(); !slices.Equal(k, both) {
		t.Errorf("keys %v", k)
	}
	must(t, install(d, version(t, 3), both, InstallOptions{}))
	want(t, d, 3, true)
	must(t, store(t, d).Commit())
	must(t, store(t, d).Rollback("asked for"))
	if k := store(t, d).Keys(); !slices.Equal(k, both) {
		t.Errorf("keys %v", k)
	}
}

// TestDamagedSlot loses a file of the slot that runs.
func TestDamagedSlot(t *testing.T) {
	d, trusted := faultdisk.New(), keys(t, "minisign.pub")
	for v := uint64(1); v <= 2; v++ {
		must(t, install(d, version(t, v), trusted, InstallOptions{}))
		want(t, d, v, true)
		must(t, store(t, d).Commit())
	}
	must(t, d.Remove(folder+"/b/demo.gguf"))
	i, err := store(t, d).Start(t.Context(), "")
	if err == nil || i == nil || i.Manifest.Version != 1 {
		t.Errorf("runs %v: %v", i, err)
	}
	must(t, d.Remove(folder+"/a/manifest.json"))
	if i, err = store(t, d).Start(t.Context(), ""); err == nil || i != nil {
		t.Errorf("runs %v: %v", i, err)
	}
	d.Edit(folder+"/state.json", func(data []byte) []byte { return data[:len(data)/2] })
	s, err := OpenStore(d, folder)
	if err == nil {
		t.Error("half a state is read")
	}
	if i, err := s.Start(t.Context(), ""); i != nil || err != nil {
		t.Errorf("runs %v: %v", i, err)
	}
}

// TestRepair installs over a slot that lost a file: that one makes room, and the same bundle repairs it.
func TestRepair(t *testing.T) {
	d, trusted := faultdisk.New(), keys(t, "minisign.pub")
	for v := uint64(1); v <= 2; v++ {
		must(t, install(d, version(t, v), trusted, InstallOptions{}))
		want(t, d, v, true)
		must(t, store(t, d).Commit())
	}
	d.Edit(folder+"/b/demo.gguf", func(data []byte) []byte { data[7] ^= 1; return data })
	must(t, install(d, version(t, 2), trusted, InstallOptions{}))
	if s := store(t, d).State(); s.Active != slotA || s.A.Version != 1 {
		t.Errorf("%+v", s)
	}
	want(t, d, 2, true)
	must(t, store(t, d).Commit())
	must(t, d.Remove(folder+"/b/demo.gguf"))
	must(t, install(d, version(t, 3), trusted, InstallOptions{}))
	must(t, store(t, d).Rollback("asked for"))
	want(t, d, 1, false)
}

// TestInUse installs where a daemon still runs what it started with: its files do not change.
func TestInUse(t *testing.T) {
	trusted := keys(t, "minisign.pub")
	dir := t.TempDir()
	on := func(f func(s *Store) error) {
		t.Helper()
		s, err := OpenStore(disk.OS, dir)
		must(t, err)
		must(t, f(s))
	}
	put := func(v uint64) {
		t.Helper()
		b, err := Open(bytes.NewReader(version(t, v)), trusted)
		must(t, err)
		on(func(s *Store) error { return s.Install(b, &InstallOptions{}) })
	}
	for v := uint64(1); v <= 2; v++ {
		put(v)
		on(func(s *Store) error { _, err := s.Start(t.Context(), ""); return err })
		on((*Store).Commit)
	}
	f, err := os.Open(filepath.Join(dir, "b", "demo.gguf"))
	must(t, err)
	defer f.Close()
	on(func(s *Store) error { return s.Rollback("asked for") })
	put(3)
	if data, err := io.ReadAll(f); err != nil || !bytes.Equal(data, bytes.Repeat([]byte{2}, 1500)) {
		t.Errorf("the file of version 2 that is in use holds %d others: %v", len(data), err)
	}
	on(func(s *Store) error {
		if i, err := s.Start(t.Context(), ""); err != nil || i.Manifest.Version != 3 {
			t.Errorf("runs %+v: %v", i, err)
		}
		return nil
	})
}

// TestTrialDamaged changes a byte of what is on trial, as a dying card does.
func TestTrialDamaged(t *testing.T) {
	d, trusted := faultdisk.New(), keys(t, "minisign.pub")
	must(t, install(d, version(t, 1), trusted, InstallOptions{}))
	d.Edit(folder+"/a/zones.wasm", func(data []byte) []byte { data[9] ^= 1; return data })
	i, err := store(t, d).Start(t.Context(), "")
	if i != nil || err == nil || !strings.Contains(err.Error(), "zones.wasm is not what was installed") {
		t.Errorf("runs %v: %v", i, err)
	}
	if s := store(t, d).State(); s.A.Phase != PhaseBad || s.Trial != "" {
		t.Errorf("%+v", s)
	}
}

// TestTrialUnread: a disk that does not let a file be read says nothing about the bundle.
func TestTrialUnread(t *testing.T) {
	d, trusted := faultdisk.New(), keys(t, "minisign.pub")
	must(t, install(d, version(t, 1), trusted, InstallOptions{}))
	for _, path := range []string{"manifest.json", "demo.gguf"} {
		d.Fault = func(op, at string) error {
			if op == "read" && at == folder+"/a/"+path {
				return syscall.EIO
			}
			return nil
		}
		i, err := store(t, d).Start(t.Context(), "")
		if i != nil || !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "tried again at the next start") {
			t.Errorf("runs %v: %v", i, err)
		}
	}
	if s := store(t, d).State(); s.Trial != slotA || s.Starts != 2 {
		t.Errorf("%+v", s)
	}
	d.Fault = nil
	want(t, d, 1, true)
}

// TestTrialStopped: who is told to stop, while files are read or afterwards, has not had a start.
func TestTrialStopped(t *testing.T) {
	d, trusted := faultdisk.New(), keys(t, "minisign.pub")
	must(t, install(d, version(t, 1), trusted, InstallOptions{}))
	for range MaxStarts + 1 {
		want(t, d, 1, true)
		must(t, store(t, d).Stop())
		ctx, cancel := context.WithCancel(t.Context())
		d.Fault = func(op, path string) error {
			if op == "read" && path == folder+"/a/demo.gguf" {
				cancel()
			}
			return nil
		}
		if i, err := store(t, d).Start(ctx, ""); i != nil || err != nil {
			t.Errorf("runs %v: %v", i, err)
		}
		if cancel(); store(t, d).State().Starts != 0 {
			t.Fatalf("%+v", store(t, d).State())
		}
		d.Fault = nil
	}
	want(t, d, 1, true)
	must(t, store(t, d).Commit())
	must(t, store(t, d).Stop()) // nothing
	want(t, d, 1, false)
}

// TestResume interrupts an installation everywhere; the next one reads no chunk again that is there.
func TestResume(t *testing.T) {
	trusted := keys(t, "minisign.pub")
	data := build(t, payloads(), true)
	d := faultdisk.New()
	if err := install(d, data[:len(data)/2], trusted, InstallOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	var written int64
	d.After = func(op, path string) {}
	r := &seeks{ReadSeeker: bytes.NewReader(data)}
	b, err := Open(r, trusted)
	must(t, err)
	first := int64(-1)
	must(t, store(t, d).Install(b, &InstallOptions{Progress: func(done, total int64) {
		if first < 0 {
			first = done
		}
		written = done
	}}))
	if r.skipped < ChunkSize || first <= ChunkSize || written != b.Manifest.Bytes() {
		t.Errorf("%d bytes skipped, began at %d, %d of %d", r.skipped, first, written, b.Manifest.Bytes())
	}
	i, err := store(t, d).Start(t.Context(), "")
	must(t, err)
	must(t, i.check(t.Context()))
}

type seeks struct {
	io.ReadSeeker
	skipped int64
}

func (s *seeks) Seek(n int64, whence int) (int64, error) {
	s.skipped += n
	return s.ReadSeeker.Seek(n, whence)
}

func FuzzState(f *testing.F) {
	d := faultdisk.New()
	must(f, install(d, version(f, 1), keys(f, "minisign.pub"), InstallOptions{}))
	raw, _, err := disk.Read(d, folder+"/state.json", maxState)
	must(f, err)
	f.Add(raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := faultdisk.New()
		must(t, disk.Replace(d, folder+"/state.json", data))
		s, err := OpenStore(d, folder)
		before := maps.Clone(s.s.Highest)
		if i, _ := s.Start(t.Context(), ""); i != nil {
			t.Errorf("slot %s runs, and there is none", i.Slot)
		}
		if err == nil && !maps.Equal(before, s.State().Highest) {
			t.Error("a start changed which version is the highest")
		}
	})
}
