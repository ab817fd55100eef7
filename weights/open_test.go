package weights

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	whole    = "testdata/hm21_small.bf16.pth"
	langHalf = "testdata/hm21_small_rwkv.fp16.pth"
	restHalf = "testdata/hm21_small_visual.fp16.pth"
)

// TestSplit opens the two files of an export and finds the tensors of the
// whole file: same names, same shapes, nearly the same values.
func TestSplit(t *testing.T) {
	w := mustOpen(t, whole)
	s := mustOpen(t, langHalf, restHalf)
	if len(w.Tensors()) != len(s.Tensors()) || s.Tensors()[0].Name != "rwkv.emb.weight" {
		t.Fatalf("%d and %d tensors, first is %s", len(w.Tensors()), len(s.Tensors()), s.Tensors()[0].Name)
	}
	for _, a := range w.Tensors() {
		b := s.Lookup(a.Name)
		if b == nil || b.Type != F16 {
			t.Fatalf("%s: %v", a.Name, b)
		}
		x, y := make([]float32, a.Len()), make([]float32, b.Len())
		if err := errors.Join(a.Float32(x), b.Float32(y)); err != nil {
			t.Fatal(err)
		}
		for i := range x {
			if d := x[i] - y[i]; d > 0.02 || d < -0.02 {
				t.Fatalf("%s[%d]: %v and %v", a.Name, i, x[i], y[i])
			}
		}
		if want := map[bool]string{true: langHalf, false: restHalf}[strings.HasPrefix(a.Name, "rwkv.")]; b.File() != want {
			t.Errorf("%s is from %s", a.Name, b.File())
		}
	}
	lang, rest := readTestdata(t, filepath.Base(langHalf)), readTestdata(t, filepath.Base(restHalf))
	if s.Size() != int64(len(lang)+len(rest)) {
		t.Errorf("size %d", s.Size())
	}
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct{ names, want string }{
		{"emb.weight blocks.0.x head.weight", "rwkv.emb.weight rwkv.blocks.0.x rwkv.head.weight"},
		{"rwkv.emb.weight rwkv.blocks.0.x", "rwkv.emb.weight rwkv.blocks.0.x"},
		{"emb.weight head.weight", "emb.weight head.weight"},
		{"proj.weight state_encoder.blocks.0.x", "proj.weight state_encoder.blocks.0.x"},
	} {
		var members []string
		var infos []TensorInfo
		for _, name := range strings.Fields(c.names) {
			members = append(members, member(name, "I8", []int{0}, []int{0, 0}))
			infos = append(infos, TensorInfo{name, I8, []int{0}})
		}
		names := func(data []byte) string {
			f, err := OpenBytes("x", data)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range f.Tensors() {
				got = append(got, x.Name)
			}
			return strings.Join(got, " ")
		}
		if got := names(buildSafetensors("{"+strings.Join(members, ",")+"}", 0)); got != c.want {
			t.Errorf("%s: got %s", c.names, got)
		}
		var b bytes.Buffer
		g, err := NewGGUFWriter(&b, nil, infos)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			if err := g.Begin(info.Name); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if got := names(b.Bytes()); got != c.names {
			t.Errorf("GGUF %s: got %s", c.names, got)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := OpenAll(); err == nil {
		t.Error("nothing opens")
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	_, err := Open(write("empty", ""))
	wantError(t, "empty", err, "empty", "is empty")
	_, err = Open(write("text.gguf", "hello world"))
	wantError(t, "text", err, "text.gguf", `begins with "hello wo"`)
	_, err = Open(write("old.pth", "\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."))
	wantError(t, "legacy", err, "before PyTorch 1.6")
	_, err = OpenAll(whole, whole)
	wantError(t, "twice", err, whole, "proj.weight", "is in", "too")
	_, err = OpenAll(whole, filepath.Join(dir, "empty"))
	wantError(t, "second", err, "is empty")
	_, err = OpenBytes("i", []byte(`{"weight_map":{}}`))
	wantError(t, "index", err, "by its path")
	// The content decides, not the name.
	f := mustOpen(t, write("model.gguf", string(readTestdata(t, "flat.pth"))))
	if f.Format() != "pth" {
		t.Error(f.Format())
	}
}

func TestCloseTwice(t *testing.T) {
	f, err := Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
}

func TestIndex(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	meta := `"__metadata__":{"format":"pt"},`
	write("a.st", buildSafetensors("{"+meta+member("x", "F32", []int{2}, []int{0, 8})+"}", 8))
	write("b.st", buildSafetensors("{"+meta+member("y", "F32", []int{1}, []int{0, 4})+"}", 4))
	write("pickle.st", readTestdata(t, "flat.pth"))
	write("nested.json", []byte(`{"weight_map":{}}`))
	index := func(text string) (*File, error) {
		write("i.json", []byte(text))
		return Open(filepath.Join(dir, "i.json"))
	}
	f, err := index(` {"metadata": {"total_size": 12, "more": [1.5e-3, true, null, {"a": []}]}, "weight_map": {"y": "b.st", "x": "a.st"}} ` + "\n")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors()) != 2 || f.Lookup("x").File() != filepath.Join(dir, "a.st") || f.Format() != "safetensors" {
		t.Errorf("%d tensors, x from %s", len(f.Tensors()), f.Lookup("x").File())
	}
	if s, err := f.Meta().Str("format"); s != "pt" || err != nil {
		t.Errorf("format %q, %v", s, err)
	}
	for _, c := range []struct{ text, want string }{
		{`{"weight_map":{"x":"b.st","y":"b.st"}}`, `tensor "x": is not in`},
		{`{"weight_map":{"x":"a.st","z":"a.st"}}`, `tensor "z": is not in`},
		{`{"weight_map":{"x":"../a.st"}}`, "not a plain file name"},
		{`{"weight_map":{"x":"/etc/passwd"}}`, "not a plain file name"},
		{`{"weight_map":{"x":".."}}`, "not a plain file name"},
		{`{"weight_map":{"x":"nested.json"}}`, "index inside an index"},
		{`{"weight_map":{},"weight_map":{}}`, "twice"},
		{`{"metadata":{}}`, "without the weight_map"},
		{`{"weight_map":{}}`, "names no shard"},
		{`{"weight_map":{"x":"a.st"}`, "JSON"},
		{`{"weight_map":{"x":1}}`, "JSON"},
		{`{"weight_map":{"x":"a.st"}} x`, "more behind the end"},
		{`{"a":` + strings.Repeat("[", 20), "nested"},
	} {
		_, err := index(c.text)
		wantError(t, c.text, err, c.want)
	}
	if _, err := index(`{"weight_map":{"x":"missing.st"}}`); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// Shards of a bare language model, by index or one by one, are one model with its prefix.
func TestShardsOfBareModel(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, data []byte) {
		if err := os.WriteFile(path(name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const one, two = "m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"
	write(one, buildSafetensors("{"+member("emb.weight", "I8", []int{0}, []int{0, 0})+"}", 0))
	write(two, buildSafetensors("{"+member("blocks.0.x", "I8", []int{0}, []int{0, 0})+"}", 0))
	write("index.json", []byte(`{"weight_map":{"emb.weight":"`+one+`","blocks.0.x":"`+two+`"}}`))
	write("other", buildSafetensors("{"+member("blocks.0.x", "I8", []int{0}, []int{0, 0})+"}", 0))
	for _, paths := range [][]string{{path("index.json")}, {path(two), path(one)}} {
		f := mustOpen(t, paths...)
		if len(f.Tensors()) != 2 || f.Lookup("rwkv.emb.weight") == nil || f.Lookup("rwkv.blocks.0.x") == nil {
			t.Errorf("%v: %v", paths, f.Tensors())
		}
		// Names may clash between files that are opened each by itself.
		each, err := OpenEach(append(paths, path("other"))...)
		if err != nil || len(each) != 2 || each[0].Lookup("rwkv.blocks.0.x") == nil || each[1].Lookup("blocks.0.x") == nil {
			t.Fatalf("%v: %v, %v", paths, each, err)
		}
		if n := len(each[0].Files()); n != 2 || each[1].Files()[0] != path("other") || !each[1].Mapped() {
			t.Errorf("%d files, %v", n, each[1].Files())
		}
		for _, f := range each {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := OpenAll(path(two))
	wantError(t, "one shard", err, two, "shard 1 of its set of 2 is missing")
	_, err = OpenEach(path(one), path(two), path("none"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// What was released is read again.
func TestRelease(t *testing.T) {
	f := mustOpen(t, whole)
	for _, x := range f.Tensors() {
		v, again := make([]float32, x.Len()), make([]float32, x.Len())
		if err := x.Float32(v); err != nil {
			t.Fatal(err)
		}
		f.Release()
		if err := x.Float32(again); err != nil || !slices.Equal(v, again) {
			t.Fatalf("%s: %v", x.Name, err)
		}
	}
	m, err := OpenBytes("memory", readTestdata(t, filepath.Base(whole)))
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(m.Tensors()[0].Bytes())
	m.Release()
	if !bytes.Equal(m.Tensors()[0].Bytes(), before) {
		t.Error("memory that is not a map was given away")
	}
}
