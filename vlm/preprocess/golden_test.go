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
	for _, name := range []string{"down", "up", "odd", "same", "gray"} {
		img := open(t, name+".png")
		for _, c := range []struct {
			key   string
			size  int
			open  func(int) (*Square, error)
			norms map[string][2][3]float32
		}{
			{"square56", 56, NewSquare, map[string][2][3]float32{"imagenet": {ImageNetMean, ImageNetStd}, "half": {HalfMean, HalfStd}}},
			{"square84", 84, NewSquare, nil},
			{"clip28", 28, NewCentre, map[string][2][3]float32{"norm": {CLIPMean, CLIPStd}}},
		} {
			s, err := c.open(c.size)
			if err != nil {
				t.Fatal(err)
			}
			rgb := make([]uint8, s.Bytes())
			if err := s.RGB(rgb, img); err != nil {
				t.Fatal(err)
			}
			if w := want[name+"."+c.key+".u8"].data; !bytes.Equal(rgb, w) {
				t.Errorf("%s.%s: bytes differ from Pillow", name, c.key)
			}
			for what, ms := range c.norms {
				n, err := NewNorm(ms[0], ms[1])
				if err != nil {
					t.Fatal(err)
				}
				w, got := want[name+"."+c.key+"."+what].floats(), make([]float32, s.Bytes())
				n.Planar(got, rgb)
				worst := 0.0
				for i := range w {
					worst = max(worst, math.Abs(float64(got[i]-w[i])))
				}
				// One unit in the last place at the largest magnitude, 2.64.
				if worst > 2.4e-7 {
					t.Errorf("%s.%s.%s: largest error %g", name, c.key, what, worst)
				}
				t.Logf("%s.%s.%s: largest error %g", name, c.key, what, worst)
			}
		}
	}
}

func TestGoldenRealSizes(t *testing.T) {
	img := open(t, "real.png")
	for size, want := range map[int]string{
		448:  "1b972bafce3e7eea452f35a73b7ce60759612d6c9aa53ea02a4555d00ab760a5",
		1024: "b85f8cc871a65b17b216892b196a1396ae25d892882367d19e998134eaa36130",
	} {
		s, err := NewSquare(size)
		if err != nil {
			t.Fatal(err)
		}
		rgb := make([]uint8, s.Bytes())
		if err := s.RGB(rgb, img); err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(rgb); hex.EncodeToString(sum[:]) != want {
			t.Errorf("real.png at %d: bytes differ from Pillow", size)
		}
	}
}
