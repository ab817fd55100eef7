package camera

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"strings"
	"testing"
)

// photo is a picture with something in every block, as JPEG.
func photo(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(5 * x), uint8(3 * y), uint8(x * y), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withoutTables cuts the Huffman tables out.
func withoutTables(t testing.TB, data []byte) []byte {
	t.Helper()
	at := bytes.Index(data, standardHuffman())
	if at < 0 {
		t.Fatal("no standard tables")
	}
	return append(append([]byte{}, data[:at]...), data[at+len(standardHuffman()):]...)
}

func TestCutJPEG(t *testing.T) {
	good := photo(t, 40, 24)
	want, err := jpeg.Decode(bytes.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"as it is":       good,
		"no tables":      withoutTables(t, good),
		"zeros after":    append(bytes.Clone(good), make([]byte, 999)...),
		"noise before":   append([]byte("\r\n\x00\x00"), good...),
		"fill bytes":     bytes.Replace(good, []byte{0xff, 0xdb}, []byte{0xff, 0xff, 0xff, 0xdb}, 1),
		"another behind": append(bytes.Clone(good), photo(t, 8, 8)...),
		"all of it":      append(append([]byte{0}, withoutTables(t, good)...), "\r\n--x"...),
	} {
		cut, size, err := CutJPEG(bytes.Clone(data))
		if err != nil || size != image.Pt(40, 24) {
			t.Errorf("%s: %v, %v", name, size, err)
			continue
		}
		img, err := jpeg.Decode(bytes.NewReader(cut))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(img.(*image.YCbCr).Y, want.(*image.YCbCr).Y) {
			t.Errorf("%s: another picture", name)
		}
	}
}

func TestCutJPEGRefuses(t *testing.T) {
	good := photo(t, 40, 24)
	sof := bytes.Index(good, []byte{0xff, 0xc0})
	resized := func(w, h int) []byte {
		b := bytes.Clone(good)
		b[sof+5], b[sof+6], b[sof+7], b[sof+8] = byte(h>>8), byte(h), byte(w>>8), byte(w)
		return b
	}
	for want, data := range map[string][]byte{
		"no picture begins":                    []byte("<html>"),
		"before its end":                       good[:len(good)-2],
		"65535x65535":                          resized(65535, 65535),
		"8192x8191":                            resized(8192, 8191),
		"0x24":                                 resized(0, 24),
		"its size is not said":                 append(bytes.Clone(good[:sof]), good[bytes.Index(good, []byte{0xff, 0xda}):]...),
		"it has no pixels":                     {0xff, 0xd8, 0xff, 0xd9},
		"a picture begins at byte 2 within":    append([]byte{0xff, 0xd8}, good...),
		"is in no segment":                     append([]byte{0xff, 0xd8, 0xff, 0xfe, 0, 2, 7}, good[2:]...),
		"a segment of 65535 bytes at byte 2 o": {0xff, 0xd8, 0xff, 0xfe, 0xff, 0xff},
	} {
		if _, _, err := CutJPEG(bytes.Clone(data)); !errors.Is(err, ErrJPEG) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestCutJPEGTruncated: no beginning of a picture is one.
func TestCutJPEGTruncated(t *testing.T) {
	good := photo(t, 40, 24)
	for n := range len(good) {
		if _, _, err := CutJPEG(bytes.Clone(good[:n])); err == nil {
			t.Fatalf("%d of %d bytes are a picture", n, len(good))
		}
	}
}

// TestCutJPEGMutated: 10,000 damaged pictures end in an error, or in one whose size a
// decoder agrees with.
func TestCutJPEGMutated(t *testing.T) {
	good := withoutTables(t, photo(t, 40, 24))
	r := rand.New(rand.NewPCG(5, 1))
	refused := 0
	for range 10_000 {
		if !cutIsSound(t, mutate(r, good)) {
			refused++
		}
	}
	if refused < 1000 || refused > 9900 {
		t.Errorf("%d of 10,000 refused", refused)
	}
}

// mutate returns data with a few bytes changed, cut out, or repeated.
func mutate(r *rand.Rand, data []byte) []byte {
	b := bytes.Clone(data)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(b))
		n := min(r.IntN(64), len(b)-at)
		switch r.IntN(5) {
		case 0:
			b[at] = byte(r.Uint32())
		case 1:
			b[at] = 0xff
		case 2:
			b = append(b[:at], b[at+n:]...)
		case 3:
			b = append(b[:at+n], b[at:]...)
		case 4:
			b = b[:max(at, 1)]
		}
		if len(b) == 0 {
			b = []byte{0}
		}
	}
	return b
}

func cutIsSound(t *testing.T, data []byte) bool {
	t.Helper()
	cut, size, err := CutJPEG(bytes.Clone(data))
	if err != nil {
		if !errors.Is(err, ErrJPEG) {
			t.Fatal(err)
		}
		return false
	}
	if len(cut) > len(data)+len(standardHuffman()) || !bytes.HasPrefix(cut, []byte{0xff, 0xd8}) || !bytes.HasSuffix(cut, []byte{0xff, 0xd9}) {
		t.Fatalf("%x cut to %x", data, cut)
	}
	if c, err := jpeg.DecodeConfig(bytes.NewReader(cut)); err == nil && image.Pt(c.Width, c.Height) != size && bytes.Count(cut, []byte{0xff, 0xc0})+bytes.Count(cut, []byte{0xff, 0xc1})+bytes.Count(cut, []byte{0xff, 0xc2}) < 2 {
		t.Fatalf("size %v, a decoder reads %dx%d: %x", size, c.Width, c.Height, cut)
	}
	return true
}

func FuzzCutJPEG(f *testing.F) {
	good := photo(f, 16, 8)
	f.Add(good)
	f.Add(withoutTables(f, good))
	f.Add([]byte{0xff, 0xd8, 0xff, 0xfe, 0, 2, 0xff, 0xff, 0xff, 0xd9})
	f.Fuzz(func(t *testing.T, data []byte) { cutIsSound(t, data) })
}

func BenchmarkCutJPEG(b *testing.B) {
	data := photo(b, 640, 480)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := CutJPEG(data); err != nil {
			b.Fatal(err)
		}
	}
}
