package weights

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// describe formats a tensor as testdata/gen.py does.
func describe(t *testing.T, x *Tensor, name string) string {
	t.Helper()
	types := map[DType]string{F32: "float32", F16: "float16", BF16: "bfloat16", I64: "int64"}
	shape := "-"
	if len(x.Shape) > 0 {
		shape = strings.ReplaceAll(strings.Trim(fmt.Sprint(x.Shape), "[]"), " ", "x")
	}
	data, err := x.Data()
	if err != nil {
		t.Fatal(err)
	}
	wide := "-"
	if x.Type != I64 {
		dst := make([]float32, x.Len())
		if err := x.Float32(dst); err != nil {
			t.Fatal(err)
		}
		wide = digest(f32Bytes(dst))
	}
	return fmt.Sprintf("%s %s %s %s %s\n", name, types[x.Type], shape, digest(data), wide)
}

func f32Bytes(f []float32) []byte {
	var b []byte
	for _, x := range f {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// TestPyTorch compares every .pth with what torch.load made of it.
func TestPyTorch(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.pth")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(path, ".pth") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			f := mustOpen(t, path)
			bare := !strings.Contains(string(want), "rwkv.") && strings.Contains(string(want), "emb.weight")
			var got strings.Builder
			for _, x := range f.Tensors() {
				name := x.Name
				if bare {
					name = strings.TrimPrefix(name, "rwkv.")
				}
				got.WriteString(describe(t, x, name))
				if f.Lookup(x.Name) != x {
					t.Errorf("Lookup(%q) finds something else", x.Name)
				}
			}
			if got.String() != string(want) {
				t.Errorf("got\n%swant\n%s", got.String(), want)
			}
			if f.Format() != "pth" || f.Meta() != nil || f.Lookup("nobody") != nil {
				t.Errorf("format %s, %d keys", f.Format(), len(f.Meta()))
			}
		})
	}
}

// TestWays checks that all ways to the elements of a tensor agree.
func TestWays(t *testing.T) {
	for _, name := range []string{"strided.pth", "flat.pth", "types.pth"} {
		f := mustOpen(t, filepath.Join("testdata", name))
		file := readTestdata(t, name)
		for _, x := range f.Tensors() {
			data := x.Bytes()
			if len(data) != x.Size() {
				t.Fatalf("%s: %d bytes, Size %d", x.Name, len(data), x.Size())
			}
			var w bytes.Buffer
			if n, err := x.WriteTo(&w); err != nil || n != int64(len(data)) || !bytes.Equal(w.Bytes(), data) {
				t.Errorf("%s: WriteTo gives %d bytes, %v", x.Name, n, err)
			}
			if x.Len() > 0 && !bytes.HasPrefix(file[x.Offset():], data[:x.Size()/x.Len()]) {
				t.Errorf("%s: first element is not at byte %d", x.Name, x.Offset())
			}
			if x.Type == I64 {
				wantError(t, x.Name, x.Float32(make([]float32, x.Len())), "I64 does not widen")
				continue
			}
			whole := make([]float32, x.Len())
			if err := x.Float32(whole); err != nil {
				t.Fatal(err)
			}
			for first := 0; first <= x.Len(); first += 1 + x.Len()/37 {
				part := make([]float32, min(11, x.Len()-first))
				if err := x.Float32At(part, first); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(f32Bytes(part), f32Bytes(whole[first:first+len(part)])) {
					t.Errorf("%s: elements from %d on differ", x.Name, first)
				}
			}
			wantError(t, x.Name, x.Float32At(make([]float32, 1), x.Len()), x.Name, "elements")
			wantError(t, x.Name, x.Float32At(nil, -1), "elements")
			wantError(t, x.Name, x.Float32(make([]float32, x.Len()+1)), "elements")
		}
	}
}

func TestBorrowed(t *testing.T) {
	f := mustOpen(t, "testdata/strided.pth")
	for name, want := range map[string]bool{"transposed": false, "stepped": false, "unit": true} {
		x := f.Lookup(name)
		if x.Borrowed() != want {
			t.Errorf("%s: borrowed is %v", name, !want)
		}
		if n := testing.AllocsPerRun(5, func() { x.Bytes() }); (n == 0) != want {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestFloat16(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, frac := h>>15, h>>10&31, h&1023
		var want float64
		switch {
		case exp == 31 && frac != 0:
			if got := float16(uint16(h)); got == got || math.Float32bits(got)>>13&1023 != uint32(frac) {
				t.Fatalf("%#x: %v", h, got)
			}
			continue
		case exp == 31:
			want = math.Inf(1)
		case exp == 0:
			want = math.Ldexp(float64(frac), -24)
		default:
			want = math.Ldexp(float64(1024+frac), exp-25)
		}
		if sign == 1 {
			want = -want
		}
		if got := float16(uint16(h)); float64(got) != want || math.Signbit(float64(got)) != (sign == 1) {
			t.Fatalf("%#x: %v, want %v", h, got, want)
		}
	}
}
