package preprocess

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
)

// pictures are small files of many kinds, made with Pillow 9.4 and cjpeg.
func pictures(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/pictures/*")
	if err != nil || len(names) == 0 {
		t.Fatal("no pictures", err)
	}
	m := map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(n)] = b
	}
	return m
}

// pillow has the SHA-256 of Image.open(name).convert("RGB").tobytes(). Of the
// PNG pictures gray16.png is missing: Pillow cuts its values off at 255.
var pillow = map[string]string{
	"gray1.png":      "0cd990fa98635c8bd1daacdf5747b78ea09b1d3e27ea519a5990ad2707fd64c9",
	"interlaced.png": "d08009e720ba82c389b297e59bc108affc5f3fab074648543d88804a2bd112b7",
	"pal4.png":       "b4cabf3a1f1472c338a4955d297249deea70aa74e638bb43cb0834473ead0dba",
	"pal8trns.png":   "af5343eb1bc6e48556001b978230bec7b43890e1af3c0f41bc089f49ec78226e",
	"rgb8.png":       "d08009e720ba82c389b297e59bc108affc5f3fab074648543d88804a2bd112b7",
	"rgba8.png":      "36d698d37609346ca03710b078b0c64928116a1abda9731201850f4ca5863da6",
}

func TestDecodePictures(t *testing.T) {
	for name := range pictures(t) {
		img, err := DecodeFile("testdata/pictures/"+name, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if img.Bounds() != image.Rect(0, 0, 45, 35) {
			t.Errorf("%s: bounds %v", name, img.Bounds())
		}
		rgb := make([]uint8, 3*45*35)
		RGB(rgb, img)
		sum := sha256.Sum256(rgb)
		if want := pillow[name]; want != "" && hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: bytes differ from Pillow", name)
		}
	}
}

// TestCMYKAsPillow runs all pairs of ink and black through Pillow's formula.
func TestCMYKAsPillow(t *testing.T) {
	m := image.NewCMYK(image.Rect(0, 0, 256, 256))
	for i := range 1 << 16 {
		c, k := uint8(i>>8), uint8(i)
		m.SetCMYK(i&255, i>>8, color.CMYK{C: c, M: 255 - c, Y: 7 * c, K: k})
	}
	rgb := make([]uint8, 3<<16)
	RGB(rgb, m)
	sum := sha256.Sum256(rgb)
	if got := hex.EncodeToString(sum[:]); got != "1f838ed284d04f515e08a752e686b472fc113dcd6d8c2f649afcd3021762282a" {
		t.Errorf("differs from Pillow: %s", got)
	}
}

// damage returns a mutated copy of a picture. Half of the PNG mutations have
// their checksums repaired, or nothing behind the checksums would be reached.
func damage(rng *rand.Rand, b []byte) []byte {
	c := hostile.Damage(rng, b, "\x00", "\x01", "\x7f", "\x80", "\xff", "\xff\xff\xff\xff", "\x00\x00\x00\x00")
	if rng.IntN(2) == 0 {
		repair(c)
	}
	return c
}

// repair rewrites the checksums of a PNG's chunks.
func repair(c []byte) {
	for p := len(pngMagic); bytes.HasPrefix(c, []byte(pngMagic)) && p+12 <= len(c); {
		n := int64(binary.BigEndian.Uint32(c[p:]))
		if n > int64(len(c)-p-12) {
			return
		}
		end := p + 8 + int(n)
		binary.BigEndian.PutUint32(c[end:], crc32.ChecksumIEEE(c[p+4:end]))
		p = end + 4
	}
}

// TestDecodeDamaged: at least a thousand mutations of each format, as many of each
// picture, give a picture or a clear error and no panic; what is refused costs no
// more than four times the file and 1 MiB; what the checks let through decodes.
func TestDecodeDamaged(t *testing.T) {
	all := pictures(t)
	perFormat := map[string]int{}
	for name := range all {
		perFormat[filepath.Ext(name)]++
	}
	for name, b := range all {
		few := perFormat[filepath.Ext(name)]
		rng := rand.New(rand.NewPCG(5, uint64(len(b))))
		var refused, most uint64
		for i := range (1000 + few - 1) / few {
			c := damage(rng, b)
			var img image.Image
			var err error
			budget := hostile.Budget(len(c))
			n := hostile.Allocated(budget, func() { img, err = Decode(c, nil) })
			if err == nil {
				if s := img.Bounds().Size(); s.X < 1 || s.Y < 1 {
					t.Fatalf("%s, mutation %d: empty picture", name, i)
				}
				continue
			}
			refused++
			most = max(most, n)
			if n > budget {
				t.Errorf("%s, mutation %d: %d bytes allocated for %d: %v", name, i, n, len(c), err)
			}
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrLimit) {
				t.Errorf("%s, mutation %d: %v", name, i, err)
			}
			passedCheck(t, c)
		}
		t.Logf("%s: %d refused, at most %d bytes allocated", name, refused, most)
	}
}

// passedCheck fails if c passes its check and yet does not decode.
func passedCheck(t *testing.T, c []byte) {
	t.Helper()
	check, decode := checkJPEG, jpeg.Decode
	switch {
	case bytes.HasPrefix(c, []byte(pngMagic)):
		check, decode = checkPNG, png.Decode
	case !bytes.HasPrefix(c, []byte(jpegMagic)):
		return
	}
	if check(c, (*Limits)(nil).orDefault()) != nil {
		return
	}
	if _, err := decode(bytes.NewReader(c)); err != nil {
		t.Errorf("passed its check, then: %v", err)
	}
}

// TestDecodeLargeFlat: a flat picture of 16 megapixels in a small file is fine;
// the same with one thing wrong at its very end is refused for little memory.
func TestDecodeLargeFlat(t *testing.T) {
	flat := image.NewPaletted(image.Rect(0, 0, 4000, 4000), color.Palette{color.Black, color.White})
	var p, j bytes.Buffer
	if err := png.Encode(&p, flat); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&j, image.NewGray(flat.Rect), nil); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{p.Bytes(), j.Bytes()} {
		if img, err := Decode(b, nil); err != nil || img.Bounds() != flat.Rect {
			t.Errorf("%d bytes: %v", len(b), err)
		}
		for what, c := range map[string][]byte{
			"cut":     b[:len(b)-20],
			"no end":  b[:len(b)-2],
			"flipped": append(append(bytes.Clone(b[:len(b)-22]), 0xff, 0x2f), b[len(b)-20:]...),
		} {
			var err error
			n := hostile.Allocated(512<<10, func() { _, err = Decode(c, nil) })
			if err == nil || n > 512<<10 {
				t.Errorf("%s: %d bytes allocated, %d in the file, error %v", what, n, len(c), err)
			}
		}
	}
}

func TestDecodeLimits(t *testing.T) {
	b := pictures(t)["rgb8.png"]
	for _, l := range []Limits{{MaxBytes: 100}, {MaxSide: 44}, {MaxPixels: 45*35 - 1}} {
		if _, err := Decode(b, &l); !errors.Is(err, ErrLimit) {
			t.Errorf("%+v: error %v", l, err)
		}
	}
	if _, err := Decode(b, &Limits{MaxBytes: int64(len(b)), MaxSide: 45, MaxPixels: 45 * 35}); err != nil {
		t.Error(err)
	}
	if _, err := DecodeFile("testdata/pictures/rgb8.png", &Limits{MaxBytes: 9}); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "rgb8.png") {
		t.Errorf("file: error %v", err)
	}
	if _, err := DecodeFile("testdata", nil); err == nil {
		t.Error("a folder was decoded")
	}
}

func TestDecodeTruncated(t *testing.T) {
	for name, b := range pictures(t) {
		for n := range len(b) - 2 {
			if _, err := Decode(b[:n], nil); err == nil {
				t.Fatalf("%s: %d of %d bytes make a picture", name, n, len(b))
			}
		}
		if _, err := Decode(b[:len(b)/2], nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: half of it: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range pictures(f) {
		f.Add(b)
	}
	lim := &Limits{MaxPixels: 1 << 16}
	f.Fuzz(func(t *testing.T, b []byte) {
		repair(b)
		img, err := Decode(b, lim)
		if err == nil {
			s := img.Bounds().Size()
			RGB(make([]uint8, 3*s.X*s.Y), img)
			return
		}
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrLimit) {
			t.Error(err)
		}
		if !errors.Is(err, ErrLimit) && len(b) < 1<<20 {
			passedCheck(t, b)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	src, err := os.ReadFile("testdata/real.png")
	if err != nil {
		b.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(src))
	if err != nil {
		b.Fatal(err)
	}
	var j bytes.Buffer
	if err := jpeg.Encode(&j, img, nil); err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{"png": src, "jpeg": j.Bytes()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Decode(data, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"-unchecked", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := image.Decode(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
