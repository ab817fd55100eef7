package plugin

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/hostile"
)

// cachedEngine compiles a module with a cache, and runs it.
func cachedEngine(t *testing.T, dir string) *cache {
	t.Helper()
	if err := compilerDenied(); err != nil {
		t.Skip(err)
	}
	e := newEngine(t, EngineConfig{Mode: "compiler", CacheDir: dir})
	p := start(t, e, guest(verdict(1, 0, 0, 0, 0, 0), ""), new(record).options())
	if v := p.Frame(t.Context(), preview()); !v.Skip {
		t.Errorf("%+v, %+v", v, p.Status())
	}
	return e.cache
}

// only is the one file of a cache.
func only(t *testing.T, c *cache) cached {
	t.Helper()
	files := c.files()
	if len(files) != 1 {
		t.Fatalf("%d files in the cache: %v", len(files), files)
	}
	return files[0]
}

func TestCache(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "wazero-v1.0.0-arm64", "x")
	other := filepath.Join(dir, "other")
	for _, d := range []string{old, other} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	first := only(t, cachedEngine(t, dir))
	if !first.sealed() {
		t.Error("what was compiled is not sealed")
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the folder of another version stays")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("a folder of somebody else was removed: ", err)
	}
	again := only(t, cachedEngine(t, dir))
	if again.path != first.path || !again.info.ModTime().Equal(first.info.ModTime()) {
		t.Error("compiled once more")
	}
}

// TestCacheDamaged has files of the cache damaged before a start, and while it runs.
func TestCacheDamaged(t *testing.T) {
	dir := t.TempDir()
	f := only(t, cachedEngine(t, dir))
	good, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		if err := os.WriteFile(f.path, hostile.Damage(rng, good), 0o600); err != nil {
			t.Fatal(err)
		}
		now := only(t, cachedEngine(t, dir))
		if b, err := os.ReadFile(now.path); err != nil || len(b) != len(good) || !now.sealed() {
			t.Fatalf("%d bytes, %v, where there were %d", len(b), err, len(good))
		}
	}
	// Behind the check: wazero finds it, or what it does with it is wrong.
	e := newEngine(t, EngineConfig{Mode: "compiler", CacheDir: dir})
	if err := os.WriteFile(f.path, good[:len(good)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, e, guest(verdict(1, 0, 0, 0, 0, 0), ""), new(record).options())
	if v := p.Frame(t.Context(), preview()); !v.Skip {
		t.Errorf("%+v, %+v", v, p.Status())
	}
	if files := e.cache.files(); len(files) != 0 {
		t.Errorf("what is damaged stays: %v", files)
	}
}

// TestCacheUseless has a folder that cannot be one.
func TestCacheUseless(t *testing.T) {
	if err := compilerDenied(); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, EngineConfig{Mode: "compiler", CacheDir: file})
	if !strings.Contains(e.Mode(), "compiled at every start: ") {
		t.Errorf("mode %q", e.Mode())
	}
	start(t, e, guest("", ""), new(record).options())
}

// TestCacheBounded: the oldest make place, when a folder has too much in it, and as modules are compiled.
func TestCacheBounded(t *testing.T) {
	dir := t.TempDir()
	c := cachedEngine(t, dir)
	first := only(t, c)
	for i := range maxCached + 10 {
		name := filepath.Join(c.dir, "a"+strings.Repeat("b", i))
		if err := os.WriteFile(name, []byte{byte(i)}, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if c.seal(); len(c.files()) != maxCached || !first.sealed() {
		t.Errorf("%d files, %d may be", len(c.files()), maxCached)
	}
	if n := len(cachedEngine(t, dir).files()); n != maxCached {
		t.Errorf("%d files stay, %d may", n, maxCached)
	}
	e := newEngine(t, EngineConfig{Mode: "compiler", CacheDir: dir})
	for i := range maxCached + 10 {
		m, err := e.Compile(t.Context(), "test.wasm", guest(verdict(0, 0, 0, 0, 0, float32(i)), "").Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(e.cache.files()); n > maxCached {
			t.Fatalf("%d files after %d more modules", n, i+1)
		}
	}
	if _, err := os.Stat(first.path); err == nil {
		t.Error("the oldest is still there")
	}
	for _, f := range e.cache.files() {
		if !f.sealed() {
			t.Errorf("%s is not sealed", f.path)
		}
	}
}
