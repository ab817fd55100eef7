package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
)

// What the folder of compiled modules may hold.
const (
	maxCached      = 32
	maxCachedBytes = 256 << 20
)

// seal is the ending of a file that holds the SHA-256 of the one beside it. wazero keeps sums
// of the code alone and believes the lengths in its files.
const seal = ".sha256"

// cache is where wazero keeps compiled modules.
type cache struct {
	wazero wazero.CompilationCache
	dir    string // for this version of wazero and this processor
}

// openCache removes what another version left, what is damaged, and the oldest of too much.
func openCache(root string) (*cache, error) {
	c := &cache{dir: filepath.Join(root, "wazero-"+wazeroVersion()+"-"+runtime.GOARCH)}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	others, err := filepath.Glob(filepath.Join(root, "wazero-*"))
	if err != nil {
		return nil, err
	}
	for _, o := range others {
		if o != c.dir {
			if err := os.RemoveAll(o); err != nil {
				return nil, err
			}
		}
	}
	c.bound(cached.sealed)
	c.wazero, err = wazero.NewCompilationCacheWithDir(c.dir)
	return c, err
}

// wazeroVersion is that of the library in this binary.
func wazeroVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				return d.Version
			}
		}
	}
	return "unknown"
}

// cached is a file of wazero's.
type cached struct {
	path string
	info fs.FileInfo
}

// files are those without their seals. What cannot be read is not there.
func (c *cache) files() (files []cached) {
	_ = filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, seal) {
			return nil
		}
		if info, err := d.Info(); err == nil {
			files = append(files, cached{path, info})
		}
		return nil
	})
	return files
}

// sum is "" for what cannot be read, or is more than the cache may hold.
func (f cached) sum() string {
	if !f.info.Mode().IsRegular() || f.info.Size() > maxCachedBytes {
		return ""
	}
	b, err := os.ReadFile(f.path)
	if err != nil {
		return ""
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func (f cached) sealed() bool {
	s, err := os.ReadFile(f.path + seal)
	return err == nil && len(s) > 0 && string(s) == f.sum()
}

func (f cached) remove() {
	_ = os.RemoveAll(f.path)
	_ = os.RemoveAll(f.path + seal)
}

// bound removes what is not to be kept, and the oldest of too much.
func (c *cache) bound(keep func(cached) bool) {
	files := c.files()
	slices.SortFunc(files, func(a, b cached) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	var kept, size int64
	for _, f := range files {
		if keep(f) && kept < maxCached && size+f.info.Size() <= maxCachedBytes {
			kept, size = kept+1, size+f.info.Size()
		} else {
			f.remove()
		}
	}
}

// seal seals what wazero has added, in place of the oldest. A seal that cannot be written, or is lost with
// the power, makes the next start compile anew.
func (c *cache) seal() {
	for _, f := range c.files() {
		if _, err := os.Stat(f.path + seal); err != nil {
			_ = os.WriteFile(f.path+seal, []byte(f.sum()), 0o600)
		}
	}
	c.bound(func(cached) bool { return true })
}

// clear removes everything.
func (c *cache) clear() {
	for _, f := range c.files() {
		f.remove()
	}
}
