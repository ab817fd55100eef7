package v4l2

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
)

// loopback is the node of v4l2loopback: what is written into it comes out of it.
const loopback = "/dev/video10"

const (
	typeOutput   = 2 // V4L2_BUF_TYPE_VIDEO_OUTPUT
	reqSetFormat = reqGetFormat + 1
)

// webcamJPEG is a picture as webcams send it: without the Huffman tables, which
// all of them share. Its upper half has the given brightness.
func webcamJPEG(t *testing.T, upper uint8) (with, without []byte) {
	m := image.NewGray(image.Rect(0, 0, 320, 240))
	for i := range m.Pix[:len(m.Pix)/2] {
		m.Pix[i] = upper
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, m, nil); err != nil {
		t.Fatal(err)
	}
	with = file.Bytes()
	at := bytes.Index(with, []byte{0xff, 0xc4})
	n := 2 + int(with[at+2])<<8 + int(with[at+3])
	return with, slices.Delete(slices.Clone(with), at, at+n)
}

// play writes the pictures into the loopback in turn, 25 a second, until stop is
// closed.
func play(t *testing.T, pictures [][]byte, stop chan struct{}) {
	fd, err := unix.Open(loopback, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(fd)
	f := format{typ: typeOutput, pix: pixFormat{width: 320, height: 240, pixelformat: uint32(fourCC("MJPG")), field: fieldNone}}
	if err := ioctl(uintptr(fd), reqSetFormat, &f); err != nil {
		t.Error(err)
		return
	}
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if _, err := unix.Write(fd, pictures[i%len(pictures)]); err != nil {
			t.Error(err)
			return
		}
	}
}

// Of what a webcam sends as MJPEG the good pictures arrive, whole or without
// tables or with more behind them; the damaged ones are counted. When it falls
// silent and comes back, so do its pictures, though no node is new.
func TestVMMotionJPEG(t *testing.T) {
	needVM(t)
	leaksNothing(t)
	tables, _ := webcamJPEG(t, 60)
	_, bare := webcamJPEG(t, 120)
	long, _ := webcamJPEG(t, 180)
	// The loopback may write over a picture that is being read. Half a picture over a
	// whole one of the same cannot be told from it; other pairs may not decode.
	pictures := [][]byte{
		tables, bare, append(slices.Clone(long), make([]byte, 1000)...), long[:len(long)/2], long[:1], []byte("no picture"),
	}
	c := openVM(t, loopback, &camera.Options{Decode: func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) }})
	defer c.Close()
	for round := range 3 {
		stop, stopped := make(chan struct{}), make(chan struct{})
		began := time.Now()
		go func() { play(t, pictures, stop); close(stopped) }()
		seen, torn := map[uint8]int{}, 0
		bad := c.Status().Bad
		for i := range 60 {
			f, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); i == 0 && d > 3*time.Second {
				t.Errorf("round %d: back after %v", round, d)
			}
			if f.Size != image.Pt(320, 240) {
				t.Errorf("a picture of %v", f.Size)
			}
			if f.Decode() != nil {
				torn++
			} else {
				seen[color.GrayModel.Convert(f.Image.At(10, 10)).(color.Gray).Y/60*60]++
			}
			f.Release()
		}
		if torn > 5 {
			t.Errorf("round %d: %d pictures of 60 did not decode", round, torn)
		}
		close(stop)
		<-stopped
		if len(seen) != 3 || seen[60] == 0 || seen[120] == 0 || seen[180] == 0 {
			t.Errorf("round %d: pictures by brightness %v", round, seen)
		}
		if now := c.Status().Bad; now < bad+45 {
			t.Errorf("round %d: %d damaged pictures of about 60", round, now-bad)
		}
	}
	if s := c.Status(); s.How != "MJPG 320x240" {
		t.Errorf("%+v", s)
	}
}
