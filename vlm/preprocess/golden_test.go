package preprocess

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/png"
	"math"
	"os"
	"testing"
)

// tensor is one entry of testdata/golden.safetensors, made with Pillow 9.4.0.
type tensor struct {
	Dtype   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`

	data []byte
}

func (t tensor) floats() []float32 {
	f := make([]float32, len(t.data)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.data[4*i:]))
	}
	return f
}

func golden(t *testing.T) map[string]tensor {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(b)
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b[8:8+n], &raw); err != nil {
		t.Fatal(err)
	}
	m := map[string]tensor{}
	for name, r := range raw {
		var e tensor
		if name == "__metadata__" {
			continue
		}
		if err := json.Unmarshal(r, &e); err != nil {
			t.Fatal(err)
		}
		e.data = b[8+n:][e.Offsets[0]:e.Offsets[1]]
		m[name] = e
	}
	return m
}

func open(t testing.TB, name string) image.Image {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestGoldenSquare(t *testing.T) {
	want := golden(t)
	norms := map[string][2][3]float32{
		"imagenet": {ImageNetMean, ImageNetStd},
		"half":     {HalfMean, HalfStd},
	}
	for _, name := range []string{"down", "up", "odd", "same", "gray"} {
		img := open(t, name+".png")
		for size, key := range map[int]string{56: "square56", 84: "square84"} {
			s, err := NewSquare(size, HalfMean, HalfStd)
			if err != nil {
				t.Fatal(err)
			}
			rgb, err := s.RGB(img)
			if err != nil {
				t.Fatal(err)
			}
			if w := want[name+"."+key+".u8"].data; !bytes.Equal(rgb, w) {
				t.Errorf("%s.%s: bytes differ from Pillow", name, key)
			}
		}
		for key, ms := range norms {
			w := want[name+".square56."+key].floats()
			s, err := NewSquare(56, ms[0], ms[1])
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, len(w))
			if err := s.Planar(got, img); err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for i := range w {
				worst = max(worst, math.Abs(float64(got[i]-w[i])))
			}
			// One unit in the last place at the largest magnitude, 2.64.
			if worst > 2.4e-7 {
				t.Errorf("%s.square56.%s: largest error %g", name, key, worst)
			}
			t.Logf("%s.square56.%s: largest error %g", name, key, worst)
		}
	}
}

func TestGoldenRealSizes(t *testing.T) {
	img := open(t, "real.png")
	for size, want := range map[int]string{
		448:  "1b972bafce3e7eea452f35a73b7ce60759612d6c9aa53ea02a4555d00ab760a5",
		1024: "b85f8cc871a65b17b216892b196a1396ae25d892882367d19e998134eaa36130",
	} {
		s, err := NewSquare(size, HalfMean, HalfStd)
		if err != nil {
			t.Fatal(err)
		}
		rgb, err := s.RGB(img)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(rgb); hex.EncodeToString(sum[:]) != want {
			t.Errorf("real.png at %d: bytes differ from Pillow", size)
		}
	}
}
