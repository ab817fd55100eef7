package verify

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
)

// indexFolder has all vectors of the sets in testdata, in the places that those name.
func indexFolder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range []string{"testdata/*", "../../weights/testdata/hm21_small*", "../internal/vision/testdata/*.*", "../preprocess/testdata/*.*"} {
		paths, err := filepath.Glob(from)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", from, err)
		}
		for _, p := range paths {
			if p, err = filepath.Abs(p); err == nil {
				err = os.Symlink(p, filepath.Join(dir, filepath.Base(p)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// FuzzIndex runs sets whose index is damaged, with the vectors of whole ones beside it: a set
// is refused with an error that tells what is wrong, of bounded length, or compared, within
// the bounds of memory.
func FuzzIndex(f *testing.F) {
	// The largest whole set takes 19 MB.
	const budget = 256 << 20
	dir := indexFolder(f)
	whole, err := filepath.Glob("testdata/index*.json")
	if err != nil || len(whole) == 0 {
		f.Fatal(err)
	}
	if testing.Short() {
		whole = nil // other tests run them
	}
	for _, path := range whole {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	path := filepath.Join(dir, "damaged.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		var rep *Report
		var err error
		if used := hostile.Allocated(budget, func() { rep, err = Run(context.Background(), path, &Options{Threads: 1}) }); used > budget {
			t.Fatalf("%d bytes allocated for an index of %d", used, len(data))
		}
		switch {
		case err == nil:
			if rep.OK && len(rep.Rows) == 0 {
				t.Fatal("a report without rows is ok")
			}
		case len(err.Error()) > 5000: // it may list all files of a model
			t.Fatalf("error of %d bytes: %.300s", len(err.Error()), err)
		case !strings.HasPrefix(err.Error(), path+": "):
			t.Fatalf("error that does not name the index: %v", err)
		}
	})
}

// TestIndexErrors: what is wrong, and where.
func TestIndexErrors(t *testing.T) {
	config := func(more string) string {
		return `{"format": 1, "configs": {"a": {"golden": "g", "weights": "w"` + more + `}}}`
	}
	for data, want := range map[string]string{
		``:                             "unexpected end",
		`{"format": 1, "towers": {]`:   "byte 26: ",
		`{"format": 1}{}`:              "byte 14: ",
		`{"format": "x"}`:              `byte 14: string in "format"`,
		`{"format": 2, "configs": {}}`: "format 2, want 1",
		`{"format": 1}`:                "none of",
		`{"format": 1, "configs": {"a": {"golden": "g"}}}`:                   `config "a": "weights" or`,
		`{"format": 1, "towers": {"b": {"config": {"img": -1}}}}`:            `tower "b": image of -1`,
		config(`, "images": [` + strings.Repeat(`"",`, maxImages) + `""]`):   `config "a": 65 images, more than 64`,
		config(`, "hyperparameters": {"towers": {"dino": {"img": 2049}}}`):   `config "a": tower "dino": image of 2049`,
		config(`, "weights": [` + strings.Repeat(`"",`, maxWeights) + `""]`): "17 files",
		config(`, "reference": "` + strings.Repeat("v", maxIndex) + `"`):     "more than 262144 bytes",
	} {
		if _, err := parseIndex([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q in it", data, err, want)
		}
	}
}
