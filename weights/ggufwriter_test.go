package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a GGUF file of tensors, their data in pieces of 13 bytes.
func write(w io.Writer, meta Meta, infos []TensorInfo, data func(TensorInfo) []byte) error {
	g, err := NewGGUFWriter(w, meta, infos)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if err := g.Begin(info.Name); err != nil {
			return err
		}
		for b := data(info); len(b) > 0; {
			n, err := g.Write(b[:min(13, len(b))])
			if err != nil {
				return err
			}
			b = b[n:]
		}
	}
	return g.Close()
}

// TestSameAsGGML writes again what ggml has written and gets the same bytes.
func TestSameAsGGML(t *testing.T) {
	want := readTestdata(t, "ggml.gguf")
	f := mustOpen(t, "testdata/ggml.gguf")
	var got bytes.Buffer
	if err := write(&got, f.Meta(), ggmlTensors, ggmlData); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%x\nwant\n%x", got.Bytes(), want)
	}
}

// TestWriterBytes compares with a file assembled by hand from the specification.
func TestWriterBytes(t *testing.T) {
	meta := Meta{
		{"general.architecture", String("visualrwkv")}, {"u", Uint32(7)}, {"w", Uint64(1 << 40)}, {"f", Float32(0.5)}, {"b", Bool(true)},
		{"general.alignment", Uint32(64)}, {"s", Strings([]string{"a", ""})}, {"fs", Float32s([]float32{1, -2})},
		{"none", Strings(nil)},
	}
	infos := []TensorInfo{{"m", F32, []int{2, 1}}, {"empty", F16, []int{0, 3}}, {"s", I8, nil}, {"q", Q4_0, []int{1, 2, 32}}}
	data := func(info TensorInfo) []byte {
		n, _ := info.Type.Size(info.Shape)
		return bytes.Repeat([]byte{info.Name[0]}, n)
	}
	want := ggufBytes(magic, uint32(3), uint64(4), uint64(9),
		"general.architecture", uint32(8), "visualrwkv",
		"u", uint32(4), uint32(7),
		"w", uint32(10), uint64(1<<40),
		"f", uint32(6), math.Float32bits(0.5),
		"b", uint32(7), byte(1),
		"general.alignment", uint32(4), uint32(64),
		"s", uint32(9), uint32(8), uint64(2), "a", "",
		"fs", uint32(9), uint32(6), uint64(2), math.Float32bits(1), math.Float32bits(-2),
		"none", uint32(9), uint32(8), uint64(0),
		"m", uint32(2), uint64(1), uint64(2), uint32(0), uint64(0),
		"empty", uint32(2), uint64(3), uint64(0), uint32(1), uint64(64),
		"s", uint32(0), uint32(24), uint64(64),
		"q", uint32(3), uint64(32), uint64(2), uint64(1), uint32(2), uint64(128),
		64, []byte("mmmmmmmm"), 64, []byte("s"), 64, bytes.Repeat([]byte("q"), 36), 64)
	var got bytes.Buffer
	if err := write(&got, meta, infos, data); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Fatalf("got\n%x\nwant\n%x", got.Bytes(), want)
	}
	f, err := OpenBytes("f", want)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range f.Tensors() {
		if x.Name != infos[i].Name || fmt.Sprint(x.Shape) != fmt.Sprint(infos[i].Shape) || !bytes.Equal(x.Bytes(), data(infos[i])) {
			t.Errorf("%+v, want %+v", x, infos[i])
		}
	}
	if s, err := f.Meta().Strs("none"); len(s) != 0 || err != nil {
		t.Error(s, err)
	}
}

// TestCopy moves a .pth, with strided tensors, to GGUF.
func TestCopy(t *testing.T) {
	for _, name := range []string{"strided.pth", "flat.pth", filepath.Base(whole)} {
		f := mustOpen(t, filepath.Join("testdata", name))
		var infos []TensorInfo
		for _, x := range f.Tensors() {
			infos = append(infos, TensorInfo{x.Name, x.Type, x.Shape})
		}
		path := filepath.Join(t.TempDir(), "out.gguf")
		err := WriteGGUF(path, Meta{{"general.architecture", String("visualrwkv")}}, infos, func(g *GGUFWriter) error {
			for _, x := range f.Tensors() {
				if err := g.Begin(x.Name); err != nil {
					return err
				}
				if _, err := x.WriteTo(g); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		g := mustOpen(t, path)
		for i, x := range f.Tensors() {
			y := g.Tensors()[i]
			if x.Name != y.Name || fmt.Sprint(x.Shape) != fmt.Sprint(y.Shape) || !bytes.Equal(x.Bytes(), y.Bytes()) {
				t.Errorf("%s: %s differs", name, x.Name)
			}
		}
	}
}

func TestWriterErrors(t *testing.T) {
	ok := []TensorInfo{{"a", F32, []int{2}}, {"b", F32, []int{1}}}
	for _, c := range []struct {
		meta  Meta
		infos []TensorInfo
		want  string
	}{
		{Meta{{"k", Uint32(1)}, {"k", Uint32(2)}}, ok, `key "k": is there twice`},
		{Meta{{"", Uint32(1)}}, ok, "empty name"},
		{Meta{{"k", Value{}}}, ok, "has no value"},
		{Meta{{"general.alignment", Uint32(3)}}, ok, "no power of two"},
		{nil, append(ok, ok[0]), `tensor "a": is there twice`},
		{nil, []TensorInfo{{"", F32, nil}}, "empty name"},
		{nil, []TensorInfo{{"a", U8, nil}}, "GGUF has no type U8"},
		{nil, []TensorInfo{{"a", 4, nil}}, "GGUF has no type"},
		{nil, []TensorInfo{{"a", F32, make([]int, 5)}}, "5 dimensions"},
		{nil, []TensorInfo{{"a", F32, []int{-1}}}, "overflows"},
		{nil, []TensorInfo{{"a", Q4_0, []int{16}}}, "rows of 16"},
		{nil, make([]TensorInfo, maxTensors+1), "4097 tensors"},
	} {
		_, err := NewGGUFWriter(io.Discard, c.meta, c.infos)
		wantError(t, c.want, err, c.want)
	}
	g, err := NewGGUFWriter(io.Discard, nil, ok)
	if err != nil {
		t.Fatal(err)
	}
	want := func(err error, text string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %q", err, text)
		}
	}
	_, err = g.Write([]byte{1})
	want(err, "1 bytes for a tensor that lacks 0")
	want(g.Begin("b"), `"b" is not number 0`)
	want(g.Close(), "0 of 2 tensors")
	if err := g.Begin("a"); err != nil {
		t.Fatal(err)
	}
	_, err = g.Write(make([]byte, 9))
	want(err, "9 bytes for a tensor that lacks 8")
	want(g.Begin("b"), `8 bytes of "a" are missing`)
	want(g.Close(), "8 bytes missing")
}

// failing refuses all writes.
type failing struct{}

var errFull = errors.New("disk full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestWriterPassesErrors(t *testing.T) {
	infos := []TensorInfo{{"a", F32, []int{1 << 16}}}
	data := func(TensorInfo) []byte { return make([]byte, 1<<18) }
	if err := write(failing{}, nil, infos, data); !errors.Is(err, errFull) {
		t.Error(err)
	}
	if err := write(failing{}, nil, nil, nil); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

func TestWriteFile(t *testing.T) {
	t.Run("unnamed", func(t *testing.T) { testWriteFile(t, openUnnamed) })
	t.Run("named", func(t *testing.T) {
		testWriteFile(t, func(string) (*os.File, error) { return nil, errors.ErrUnsupported })
	})
}

func testWriteFile(t *testing.T, unnamed func(string) (*os.File, error)) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put := func(text string, err error) error {
		return writeFile(path, unnamed, func(w io.Writer) error {
			_, werr := io.WriteString(w, text)
			if f, err := unnamed(dir); err == nil { // nothing to be seen, whatever happens now
				f.Close()
				if list, _ := os.ReadDir(dir); len(list) > 1 {
					t.Errorf("while writing there is %v", list)
				}
			}
			return errors.Join(werr, err)
		})
	}
	check := func(want string) {
		t.Helper()
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		if list, _ := os.ReadDir(dir); len(list) != 1 {
			t.Errorf("left behind: %v", list)
		}
	}
	if err := put("one", nil); err != nil {
		t.Fatal(err)
	}
	check("one")
	if err := put("half", errFull); !errors.Is(err, errFull) {
		t.Error(err)
	}
	check("one")
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := put("two", nil); err != nil {
		t.Fatal(err)
	}
	check("two")
	if b, _ := io.ReadAll(old); string(b) != "one" {
		t.Errorf("the old file became %q", b)
	}
	if err := WriteFile(filepath.Join(dir, "none", "f"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := WriteFile(dir, func(io.Writer) error { return nil }); err == nil {
		t.Error("a folder is replaced")
	}
	check("two")
	t.Chdir(dir)
	if err := WriteFile("f", func(w io.Writer) error { return nil }); err != nil {
		t.Error(err)
	}
	check("")
}

func TestTypes(t *testing.T) {
	for d, l := range layouts {
		if n, err := d.Size([]int{3, l.elems * 2}); err != nil || n != 6*l.bytes || d.String() != l.name {
			t.Errorf("%s: %d, %v", d, n, err)
		}
	}
	if s := DType(4).String(); s != "type 4" {
		t.Error(s)
	}
	if s := ValueType(99).String(); s != "type 99" {
		t.Error(s)
	}
}
