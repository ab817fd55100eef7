package weights

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// ggmlTensors is what testdata/ggml_gguf.cpp puts into ggml.gguf.
var ggmlTensors = []TensorInfo{
	{"rwkv.a.weight", F32, []int{5, 3}}, {"half", F16, []int{7}}, {"brain", BF16, []int{4, 3, 2}},
	{"q8", Q8_0, []int{2, 64}}, {"q4", Q4_0, []int{3, 32}}, {"k6", 14, []int{256}}, {"packed", I8, []int{5}},
}

func ggmlData(info TensorInfo) []byte {
	n, _ := info.Type.Size(info.Shape)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + len(info.Name))
	}
	return b
}

// TestGGML reads a file that ggml wrote.
func TestGGML(t *testing.T) {
	f := mustOpen(t, "testdata/ggml.gguf")
	if f.Format() != "gguf" || len(f.Tensors()) != len(ggmlTensors) {
		t.Fatalf("%s, %d tensors", f.Format(), len(f.Tensors()))
	}
	for i, x := range f.Tensors() {
		want := ggmlTensors[i]
		if x.Name != want.Name || x.Type != want.Type || !slices.Equal(x.Shape, want.Shape) || x.Offset()%32 != 0 {
			t.Errorf("%s %s %v at %d, want %+v", x.Name, x.Type, x.Shape, x.Offset(), want)
		}
		data, err := x.Data()
		if x.Name == "k6" {
			wantError(t, "k6", err, "ggml.gguf", `tensor "k6"`, "type Q6_K can be listed but not read")
			_, err = x.WriteTo(nil)
			wantError(t, "k6", err, "Q6_K")
			if x.Bytes() != nil || x.Size() != 210 {
				t.Errorf("k6: %d bytes of %d", len(x.Bytes()), x.Size())
			}
			continue
		}
		if err != nil || !bytes.Equal(data, ggmlData(want)) || !x.Borrowed() {
			t.Errorf("%s: %x, %v", x.Name, data, err)
		}
	}
	wantError(t, "q8", f.Lookup("q8").Float32(make([]float32, 128)), "Q8_0 does not widen")
	m := f.Meta()
	ints := map[string]int64{"t.u8": 200, "t.i8": -7, "t.u16": 60000, "t.i16": -30000, "t.u32": 4e9, "t.i32": -2e9, "t.i64": -5e9}
	for key, want := range ints {
		v, _ := m.Get(key)
		if n, err := v.Int(); err != nil || n != want {
			t.Errorf("%s = %d, %v", key, n, err)
		}
	}
	if n, err := m.Uint32("t.u32"); n != 4e9 || err != nil {
		t.Error(n, err)
	}
	if s, err := m.Str("t.str"); s != "grüße\n" || err != nil {
		t.Error(s, err)
	}
	if b, err := m.Bool("t.bool"); !b || err != nil {
		t.Error(b, err)
	}
	if s, err := m.Strs("t.strs"); !slices.Equal(s, []string{"siglip", "", "dino"}) || err != nil {
		t.Error(s, err)
	}
	if s, err := m.Float32s("t.f32s"); !slices.Equal(s, []float32{0.5, 0.25, -1}) || err != nil {
		t.Error(s, err)
	}
	u16s, _ := m.Get("t.u16s")
	if s, err := u16s.Ints(); !slices.Equal(s, []int64{1, 65535}) || err != nil || u16s.Len() != 2 || u16s.Elem() != TypeUint16 {
		t.Error(s, err)
	}
	f64, _ := m.Get("t.f64")
	if x, err := f64.Float(); x != -1e300 || err != nil {
		t.Error(x, err)
	}
	f32, _ := m.Get("t.f32")
	if x, err := f32.Float(); x != float64(float32(0.1)) || err != nil {
		t.Error(x, err)
	}
	var text []string
	for _, kv := range m {
		text = append(text, kv.Value.String())
	}
	if got := strings.Join(text, " "); got != `"visualrwkv" 200 -7 60000 -30000 4000000000 -2000000000 0.1 true "grüße\n" `+
		`9223372036854775808 -5000000000 -1e+300 3 x string 3 x f32 3 x bool 2 x u16` {
		t.Error(got)
	}
}

func TestMetaErrors(t *testing.T) {
	f := mustOpen(t, "testdata/ggml.gguf")
	m := f.Meta()
	_, err := m.Uint32("none")
	if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrFormat) || m.Has("none") || !m.Has("t.u8") {
		t.Error(err)
	}
	_, err = m.Uint32("t.i8")
	wantError(t, "t.i8", err, `key "t.i8"`, "-7 does not fit")
	_, err = m.Uint32("t.u64")
	wantError(t, "t.u64", err, "too large")
	_, err = m.Uint32("t.str")
	wantError(t, "t.str", err, "is string, not an integer")
	_, err = m.Str("t.u16s")
	wantError(t, "t.u16s", err, "is array of u16, not a string")
	_, err = m.Strs("t.str")
	wantError(t, "t.str", err, "not an array of strings")
	_, err = m.Float32s("t.f32")
	wantError(t, "t.f32", err, "not an array of f32")
	_, err = m.Bool("t.u8")
	wantError(t, "t.u8", err, "not a bool")
	v, _ := m.Get("t.f32s")
	_, err = v.Ints()
	wantError(t, "t.f32s", err, "not an array of integers")
	v, _ = m.Get("t.u8")
	_, err = v.Ints()
	wantError(t, "t.u8", err, "not an array of integers")
	_, err = v.Float()
	wantError(t, "t.u8", err, "not a float")
	if s := (Value{}).String(); s != "no value" {
		t.Error(s)
	}
}

// TestNested reads arrays of arrays, which ggml does not know.
func TestNested(t *testing.T) {
	b := ggufBytes(magic, uint32(3), uint64(0), uint64(2),
		"a", uint32(9), uint32(9), uint64(2), uint32(8), uint64(1), "x", uint32(7), uint64(2), byte(1), byte(0),
		"b", uint32(0), byte(5))
	f, err := OpenBytes("f", b)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Meta().Uint32("b"); n != 5 || err != nil {
		t.Error(n, err)
	}
	var out bytes.Buffer
	g, err := NewGGUFWriter(&out, f.Meta(), nil)
	if err != nil || g.Close() != nil || !bytes.Equal(out.Bytes(), append(b, make([]byte, (32-len(b)%32)%32)...)) {
		t.Errorf("%v\n%x\n%x", err, out.Bytes(), b)
	}
}

func TestGGUFErrors(t *testing.T) {
	head := func(tensors, keys uint64, parts ...any) []byte {
		return ggufBytes(append([]any{magic, uint32(3), tensors, keys}, parts...)...)
	}
	tensor := func(dtype uint32, offset uint64, dims ...uint64) []byte {
		b := ggufBytes("x", uint32(len(dims)))
		for _, d := range dims {
			b = append(b, ggufBytes(d)...)
		}
		return append(b, ggufBytes(dtype, offset)...)
	}
	data := make([]byte, 64)
	deep := ggufBytes("a", uint32(9))
	for range 6 {
		deep = append(deep, ggufBytes(uint32(9), uint64(1))...)
	}
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{magic, "file ends inside the header (at byte 4)"},
		{ggufBytes(magic, uint32(2)), "GGUF version 2"},
		{ggufBytes(magic, uint32(3<<24)), "big-endian"},
		{head(1<<63, 0, data), "9223372036854775808 tensors in a file"},
		{head(maxTensors+1, 0, make([]byte, maxTensors*minTensor*2)), "4097 tensors"},
		{head(4, 0, data), "4 tensors in a file of"},
		{head(0, 1<<40, data), "keys in a file"},
		{head(0, 1, "", uint32(0), byte(1), data), "key: empty name (at byte 24)"},
		{head(0, 1, "\xff", uint32(0), byte(1), data), "key: name is not UTF-8"},
		{head(0, 1, uint64(1<<20), make([]byte, 1<<20)), "key of 1048576 bytes"},
		{head(0, 1, "k", uint32(13), data), `key "k": unknown value type 13 (at byte 33)`},
		{head(0, 1, "k", uint32(7), byte(2), data), `key "k": bool is 2 (at byte 37)`},
		{head(0, 1, "k", uint32(8), uint64(1<<62), data), "text of 4611686018427387904 bytes"},
		{head(0, 1, "k", uint32(9), uint32(10), uint64(1<<62), data), "array of 4611686018427387904 u64"},
		{head(0, 1, "k", uint32(9), uint32(8), uint64(2), "a"), "array of 2 string"},
		{head(0, 1, "k", uint32(9), uint32(8), uint64(2), "a", uint64(9)), "text of 9 bytes where 0 are left"},
		{head(0, 1, "k", uint32(10), uint32(1)), "file ends inside"},
		{head(0, 1, deep, data), "nested more than 4"},
		{head(0, 2, "k", uint32(0), byte(1), "k", uint32(0), byte(1)), `key "k": is there twice (at byte 38)`},
		{head(0, 1, "general.alignment", uint32(4), uint32(24)), "24 is no power of two up to 1 MiB (at byte 24)"},
		{head(0, 1, "general.alignment", uint32(4), uint32(0)), "0 is no power of two"},
		{head(0, 1, "general.alignment", uint32(10), uint64(32)), "is u64, not u32 (at byte 24)"},
		{head(1, 0, tensor(0, 0, 1, 1, 1, 1, 1), data), `tensor "x": 5 dimensions (at byte 33)`},
		{head(1, 0, tensor(0, 0, 1<<63), data), "dimension of 9223372036854775808"},
		{head(1, 0, tensor(0, 0, math.MaxInt, 4), data), "overflows"},
		{head(1, 0, tensor(0, 0, math.MaxInt/2+1), data), "overflows"},
		{head(1, 0, tensor(4, 0, 32), data), "unknown element type 4"},
		{head(1, 0, tensor(1<<16, 0, 32), data), "unknown element type 65536"},
		{head(1, 0, tensor(8, 0, 33), data), "rows of 33 elements in blocks of 32 (Q8_0)"},
		{head(1, 0, tensor(8, 0, 16, 2), data), "rows of 16 elements"},
		{head(1, 0, tensor(0, 1<<40, 1), data), "data at offset 1099511627776 in a file"},
		{head(1, 0, tensor(0, 32, 1), data), "data at offset 32 where the tensor before it ends at 0"},
		{head(1, 0, tensor(0, 0, 17), 32, data), `tensor "x": 68 bytes of data behind the end of the file; is it complete? (at byte 64)`},
		{head(1, 0, tensor(0, 0, 0)), "behind the end of the file"},
		{head(2, 0, tensor(0, 0, 1), tensor(0, 32, 1), 32, data), `tensor "x": is there twice`},
	} {
		_, err := OpenBytes("f.gguf", c.b)
		wantError(t, c.want, err, "f.gguf: ", c.want)
	}
}

// Every file that is cut short anywhere is refused.
func TestCut(t *testing.T) {
	for _, name := range []string{"ggml.gguf", "flat.pth", "types.pth"} {
		b := readTestdata(t, name)
		for n := range len(b) {
			if name == "ggml.gguf" && n >= len(b)-27 {
				break // only the padding behind the last tensor is missing
			}
			_, err := OpenBytes(name, b[:n])
			wantError(t, name, err, name)
		}
	}
}
