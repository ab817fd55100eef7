package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/weights"
)

// A small set of the authors' vectors, spread over the testdata of the
// packages that need parts of it.
var setFiles = []string{
	"testdata/index.json",
	"testdata/hm21_small.golden.safetensors",
	"testdata/hm21_small.fp32.pth",
	"../../weights/testdata/hm21_small.bf16.pth",
	"../../weights/testdata/hm21_small_rwkv.fp16.pth",
	"../../weights/testdata/hm21_small_visual.fp16.pth",
}

// newSet copies the set into one folder, where a test may damage it.
func newSet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range setFiles {
		copyFile(t, f, dir)
	}
	return dir
}

func copyFile(t *testing.T, path, dir string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustPass(t *testing.T, rep *Report) {
	t.Helper()
	for _, r := range rep.Rows {
		if !r.OK {
			t.Errorf("%s %s: error %g, bound %g", r.Config, r.Tensor, r.Error, r.Bound)
		}
	}
	if !rep.OK {
		t.Error("report is not ok")
	}
}

func TestSmallSet(t *testing.T) {
	rep, err := Run(context.Background(), filepath.Join(newSet(t), "index.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustPass(t, rep)
	if len(rep.Skipped) != 0 || len(rep.Unchecked) != 0 {
		t.Errorf("skipped %v, not checked %v", rep.Skipped, rep.Unchecked)
	}
	// All of the file but for inputs, the mixer and the three of the split
	// export, which have no tensors.
	f, err := weights.Open("testdata/hm21_small.golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inputs := []string{"in.ids", "vit_features", "batch.in_features"}
	if got, want := len(rep.Rows), len(f.Tensors())-len(inputs)+4; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
}

// The two variants that have no state encoder, whole.
func TestVariants(t *testing.T) {
	rep, err := Run(context.Background(), filepath.Join("testdata", "index_variants.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustPass(t, rep)
	if len(rep.Rows) != 16 || len(rep.Skipped) != 0 || len(rep.Unchecked) != 0 {
		t.Errorf("%d rows, skipped %v, not checked %v", len(rep.Rows), rep.Skipped, rep.Unchecked)
	}
}

// Pictures to tokens through three towers.
func TestEndToEnd(t *testing.T) {
	rep, err := Run(context.Background(), filepath.Join("testdata", "index_e2e.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustPass(t, rep)
	if len(rep.Skipped) != 0 || len(rep.Unchecked) != 0 {
		t.Errorf("skipped %v, not checked %v", rep.Skipped, rep.Unchecked)
	}
	compared := map[string]bool{}
	for _, r := range rep.Rows {
		compared[r.Tensor] = true
	}
	for _, name := range []string{"pre.sam.image0", "tower.dino.block1", "tower.siglip.image0", "tower.sam.image0", "vit_features", "image_state", "gen.tokens", "bf16w.gen.tokens"} {
		if !compared[name] {
			t.Errorf("%s was not compared", name)
		}
	}
}

// All towers, the operations around them, and preprocessing. The vectors are those of the
// packages that have them.
func TestVision(t *testing.T) {
	dir := t.TempDir()
	for _, files := range []string{"testdata/index_vision.json", "../internal/vision/testdata/*.safetensors", "../preprocess/testdata/*.png", "../preprocess/testdata/*.safetensors"} {
		paths, err := filepath.Glob(files)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", files, err)
		}
		for _, p := range paths {
			copyFile(t, p, dir)
		}
	}
	rep, err := Run(context.Background(), filepath.Join(dir, "index_vision.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustPass(t, rep)
	if len(rep.Rows) != 68 || len(rep.Skipped) != 0 || len(rep.Unchecked) != 0 {
		t.Errorf("%d rows, skipped %v, not checked %v", len(rep.Rows), rep.Skipped, rep.Unchecked)
	}
}

// The whole set, where the reference vectors are at hand.
func TestReferenceSets(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "golden")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("reference vectors: %v", err)
	}
	for file, want := range map[string]int{"index_lm.json": 288, "index_vision.json": 68, "index_variants.json": 16} {
		rep, err := Run(context.Background(), filepath.Join(dir, file), nil)
		if err != nil {
			t.Fatal(err)
		}
		mustPass(t, rep)
		if len(rep.Rows) < want || len(rep.Skipped) != 0 || len(rep.Unchecked) != 0 {
			t.Errorf("%s: %d rows, want %d or more; skipped %v, not checked %v", file, len(rep.Rows), want, rep.Skipped, rep.Unchecked)
		}
	}
}

// A wrong reference value must show, in its row and only there.
func TestDifferenceShows(t *testing.T) {
	dir := newSet(t)
	const tensor = "dec.logits"
	f, err := weights.Open(filepath.Join(dir, "hm21_small.golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	off := f.Lookup(tensor).Offset()
	f.Close()
	for _, v := range []float32{1e6, float32(math.NaN()), float32(math.Inf(-1))} {
		edit(t, filepath.Join(dir, "hm21_small.golden.safetensors"), func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[off:], math.Float32bits(v))
			return b
		})
		rep, err := Run(context.Background(), filepath.Join(dir, "index.json"), nil)
		if err != nil {
			t.Fatal(err)
		}
		// 1e6 widens its own bound, but not that far.
		for _, r := range rep.Rows {
			if r.OK == (r.Tensor == tensor) {
				t.Errorf("reference %v: %s ok is %v, error %g", v, r.Tensor, r.OK, r.Error)
			}
		}
		if rep.OK {
			t.Errorf("reference %v: report is ok", v)
		}
		if _, err := json.Marshal(rep); err != nil {
			t.Error(err)
		}
	}
}

func TestUnknownTensorIsReported(t *testing.T) {
	dir := newSet(t)
	edit(t, filepath.Join(dir, "hm21_small.golden.safetensors"), func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"dec.ln_out"`), []byte(`"dec.ln_xyz"`), 1)
	})
	rep, err := Run(context.Background(), filepath.Join(dir, "index.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Unchecked) != 1 || rep.Unchecked[0].Tensor != "dec.ln_xyz" {
		t.Errorf("not checked: %v", rep.Unchecked)
	}
	mustPass(t, rep)
}

func TestBadSets(t *testing.T) {
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Fatalf("no %q to replace", old)
			}
			return bytes.ReplaceAll(b, []byte(old), []byte(new))
		}
	}
	for name, c := range map[string]struct {
		file string
		edit func([]byte) []byte
		want error
	}{
		"not json":       {"index.json", replace("{", "["), ErrIndex},
		"format":         {"index.json", replace(`"format": 1`, `"format": 2`), ErrIndex},
		"nothing in it":  {"index.json", replace(`"configs"`, `"confihs"`), ErrIndex},
		"missing file":   {"index.json", replace("hm21_small.fp32.pth", "hm21_none.fp32.pth"), fs.ErrNotExist},
		"leads out":      {"index.json", replace("hm21_small.golden", "../golden"), ErrIndex},
		"absolute":       {"index.json", replace("hm21_small.golden", "/etc/golden"), ErrIndex},
		"no tokens":      {"index.json", replace("num_token_per_image", "num_token_per_imagf"), ErrIndex},
		"many tokens":    {"index.json", replace(`"num_token_per_image": 4`, `"num_token_per_image": 900`), ErrIndex},
		"other shape":    {"index.json", replace(`"num_token_per_image": 4`, `"num_token_per_image": 1`), ErrIndex},
		"few pictures":   {"index.json", replace(`"image_token_index": 199`, `"image_token_index": 76`), ErrIndex},
		"truncated file": {"hm21_small.fp32.pth", func(b []byte) []byte { return b[:len(b)/2] }, weights.ErrFormat},
		"no features":    {"hm21_small.golden.safetensors", replace(`"vit_features"`, `"vit_featurez"`), ErrIndex},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newSet(t)
			edit(t, filepath.Join(dir, c.file), c.edit)
			rep, err := Run(context.Background(), filepath.Join(dir, "index.json"), nil)
			if name == "few pictures" && err == nil {
				// A prompt without enough placeholders is a comparison that fails.
				if rep.OK {
					t.Error("report is ok")
				}
				return
			}
			if !errors.Is(err, c.want) {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := Run(context.Background(), filepath.Join(t.TempDir(), "none.json"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, filepath.Join(newSet(t), "index.json"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestOneOrMore(t *testing.T) {
	for in, want := range map[string][]string{`"a"`: {"a"}, `["a","b"]`: {"a", "b"}} {
		var o oneOrMore
		if err := json.Unmarshal([]byte(in), &o); err != nil || !slices.Equal(o, want) {
			t.Errorf("%s: %v, %v", in, o, err)
		}
	}
	var o oneOrMore
	if err := json.Unmarshal([]byte(`{"a":1}`), &o); err == nil {
		t.Error("an object was accepted")
	}
}
