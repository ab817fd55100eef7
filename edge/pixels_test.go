package edge

import (
	"image"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/fw/plugin"
)

// TestPreview compares previews with the means of their boxes, for pictures of all shapes, one
// after the other with the same buffers.
func TestPreview(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var p pixels
	for _, c := range []struct{ w, h, smallW, smallH int }{
		{640, 480, 80, 60}, {1920, 1080, 80, 45}, {333, 777, 26, 60}, {80, 60, 80, 60}, {81, 60, 80, 59}, {40, 30, 40, 30}, {1, 1, 1, 1}, {5000, 3, 80, 1}, {3, 700, 1, 60},
	} {
		m := new(camera.RGB)
		m.Reset(c.w, c.h)
		for i := range m.Pix {
			m.Pix[i] = uint8(rng.Uint32())
		}
		p.set(m)
		pix, w, h := p.within(plugin.PreviewWidth, plugin.PreviewHeight)
		if w != c.smallW || h != c.smallH || len(pix) != 3*w*h {
			t.Errorf("%dx%d: a preview of %dx%d, %d bytes, want %dx%d", c.w, c.h, w, h, len(pix), c.smallW, c.smallH)
			continue
		}
		for i, got := range pix {
			x, y, channel := i/3%w, i/3/w, i%3
			box := image.Rect(x*c.w/w, y*c.h/h, (x+1)*c.w/w, (y+1)*c.h/h)
			sum, n := 0, box.Dx()*box.Dy()
			for by := box.Min.Y; by < box.Max.Y; by++ {
				for bx := box.Min.X; bx < box.Max.X; bx++ {
					sum += int(m.Pix[by*m.Stride+3*bx+channel])
				}
			}
			if d := 2 * (int(got)*n - sum) / n; n == 0 || d < -1 || d > 1 {
				t.Fatalf("%dx%d: %d at %d,%d of %d pixels with the sum %d", c.w, c.h, got, x, y, n, sum)
			}
		}
		if c.w == 640 {
			for _, size := range [][2]int{{0, 0}, {640, 480}, {4000, 500}, {160, 120}} {
				if whole, w, h := p.within(size[0], size[1]); size[0] == 160 && (w != 160 || h != 120) || size[0] != 160 && (w != 640 || h != 480 || &whole[0] != &p.rgb[0]) {
					t.Errorf("within %v: %dx%d", size, w, h)
				}
			}
			pix, _, _ = p.within(plugin.PreviewWidth, plugin.PreviewHeight)
		}
		if again, _, _ := p.within(plugin.PreviewWidth, plugin.PreviewHeight); &again[0] != &pix[0] {
			t.Error("made twice")
		}
	}
	m := new(camera.RGB)
	m.Reset(640, 480)
	if n := testing.AllocsPerRun(10, func() {
		p.set(m)
		p.within(plugin.PreviewWidth, plugin.PreviewHeight)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPreview(b *testing.B) {
	var p pixels
	m := image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio420)
	for b.Loop() {
		p.set(m)
		p.within(plugin.PreviewWidth, plugin.PreviewHeight)
	}
}
