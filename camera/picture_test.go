package camera

import (
	"bytes"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"testing"
	"time"
)

func decodeJPEG(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) }

// TestDamagedPictures: 10,000 damaged pictures of each format end in an error, or in pixels
// of the size that was said, and give their buffer back.
func TestDamagedPictures(t *testing.T) {
	const w, h = 32, 16
	p := NewPictures(&Options{Decode: decodeJPEG})
	buffer := p.Take()
	buffer.Release()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, f := range append([]PixelFormat{0}, pixelFormats...) {
		raw := RawPicture{Format: f, Width: w, Height: h, Stride: 2*w + 6}
		whole := photo(t, w, h)
		if f != 0 {
			size, err := raw.Size()
			if err != nil {
				t.Fatal(err)
			}
			whole = make([]byte, size+100)
		}
		good := 0
		for range 10000 {
			b := p.Take()
			b.Data = append(b.Data, whole[:rng.IntN(len(whole)+1)]...)
			for range rng.IntN(4) {
				if len(b.Data) > 0 {
					b.Data[rng.IntN(len(b.Data))] = byte(rng.Uint32())
				}
			}
			make := b.JPEG
			if f != 0 {
				make = func(at time.Time, seq uint64) (Frame, error) { return b.Raw(raw, at, seq) }
			}
			frame, err := make(time.Time{}, 0)
			if err != nil {
				continue
			}
			if frame.Decode() == nil {
				good++
				if f != 0 && frame.Image.Bounds() != image.Rect(0, 0, w, h) {
					t.Fatalf("%v: %v", f, frame.Image.Bounds())
				}
			}
			frame.Release()
		}
		if good == 0 {
			t.Errorf("%v: no picture was good", f)
		}
		if b := p.Take(); b != buffer || len(p.pool.free) != 0 {
			t.Errorf("%v: %d further buffers, one is needed", f, len(p.pool.free))
		}
		buffer.Release()
	}
}

// TestPicturesDoNotAllocate: a camera that streams costs no memory per picture.
func TestPicturesDoNotAllocate(t *testing.T) {
	raw := RawPicture{Format: YUYV, Width: 64, Height: 48, Stride: 128}
	p, data := NewPictures(&Options{}), make([]byte, 128*48)
	if n := testing.AllocsPerRun(100, func() {
		b := p.Take()
		b.Data = append(b.Data, data...)
		f, err := b.Raw(raw, time.Time{}, 0)
		if err != nil || f.Decode() != nil {
			t.Fatal(err)
		}
		f.Release()
	}); n > 0 {
		t.Errorf("%v allocations for a picture", n)
	}
}

// TestPool: what is released is used again, no more than a few are kept.
func TestPool(t *testing.T) {
	var release []func()
	made := 0
	p := NewPool(func(f func()) *int {
		made++
		release = append(release, f)
		return new(int)
	})
	for range 10 {
		p.Take()
	}
	for _, f := range release {
		f()
	}
	for range 10 {
		p.Take()
	}
	if made != 20-spare {
		t.Errorf("%d were made, want %d", made, 20-spare)
	}
}
