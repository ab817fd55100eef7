package sim

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

func crowd() []Object {
	return []Object{
		{ID: 1, Shape: Person, Color: Red, X: -0.55, Y: 0.2, Face: -1.2},
		{ID: 2, Shape: Ball, Color: White, X: 0.1, Y: -0.45},
		{ID: 3, Shape: Box, Color: Blue, X: 0.55, Y: 0.35, Face: 0.5},
		{ID: 4, Shape: Can, Color: Green, X: -0.1, Y: 0.65},
	}
}

func TestDump(t *testing.T) {
	dir := os.Getenv("DUMP")
	if dir == "" {
		t.Skip()
	}
	for _, sz := range [][2]int{{320, 240}} {
		w, h := sz[0], sz[1]
		for page := range 3 {
			sheet := image.NewRGBA(image.Rect(0, 0, 4*w, 4*h))
			for row := range 4 {
				seed := uint64(page*4 + row)
				cams := Cameras()
				for i := range cams {
					cams[i] = cams[i].Jitter(seed)
				}
				r := NewRenderer(Look{Seed: seed}, cams, w, h)
				objs := crowd()
				for i := range objs {
					objs[i].Shape = Shape((i + row*2 + page) % 5)
					objs[i].Color = Color((int(objs[i].Color) + row + page*2) % 6)
					objs[i].Face += float64(row) * 1.3
				}
				for c := range 4 {
					img := image.NewRGBA(image.Rect(0, 0, w, h))
					r.Render(img, c, objs, seed)
					for y := range h {
						copy(sheet.Pix[sheet.PixOffset(c*w, row*h+y):], img.Pix[y*img.Stride:y*img.Stride+4*w])
					}
				}
			}
			f, _ := os.Create(filepath.Join(dir, "sheet"+string(rune('0'+page))+".png"))
			png.Encode(f, sheet)
			f.Close()
		}
	}
}

func benchRender(b *testing.B, w, h int) {
	r := NewRenderer(Look{Seed: 1}, Cameras(), w, h)
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	objs := crowd()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		r.Render(img, i&3, objs, uint64(i))
		i++
	}
}

func BenchmarkRender160(b *testing.B) { benchRender(b, 160, 120) }
func BenchmarkRender320(b *testing.B) { benchRender(b, 320, 240) }

func BenchmarkNewRenderer160(b *testing.B) {
	for b.Loop() {
		NewRenderer(Look{Seed: 1}, Cameras(), 160, 120)
	}
}

func BenchmarkCoverage(b *testing.B) {
	var f, v [4]int
	cam, objs := Cameras()[0], crowd()
	b.ReportAllocs()
	for b.Loop() {
		Coverage(cam, objs, f[:], v[:])
	}
}
