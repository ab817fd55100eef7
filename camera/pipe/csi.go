package pipe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"os/exec"
	"strconv"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// rpicamNames are the helper's names, the newer one first.
var rpicamNames = []string{"rpicam-vid", "libcamera-vid"}

var errNoRpicam = errors.New("csi: needs the program rpicam-vid, which is not installed (apt install rpicam-apps-lite)")

// alignment is what the width of a picture must divide by for its rows to lie without gaps:
// the image processors of the Raspberry Pi want each plane's rows at multiples of 32 bytes
// (Pi 4 and older) or 64 (Pi 5), and rows of chroma are half as long as those of luma.
// rpicam-vid writes its buffers as they are, gaps included, and does not say how long rows
// are; widths that need none make that question go away.
const alignment = 128

// CSI understands what follows "csi:" in a spec, the number of the camera as
// rpicam-vid --list-cameras counts them. The width is made a multiple of 128, upwards.
//
// Pictures are asked for as yuv420 rather than mjpeg: JPEG would be encoded on the CPU by
// the helper and decoded on the CPU here. With yuv420, rpicam-vid chooses the colours of
// JPEG, BT.601 of full range.
func CSI(rest string, o *camera.Options) (camera.Kind, error) {
	n, err := strconv.ParseUint(rest, 10, 8)
	if err != nil {
		return camera.Kind{}, errors.New("want the number of a camera, such as csi:0")
	}
	w, h := o.Width, o.Height
	if w <= 0 || h <= 0 {
		w, h = defaultWidth, defaultHeight
	}
	w = (w + alignment - 1) / alignment * alignment
	h += h % 2
	if err := checkSize(w, h); err != nil {
		return camera.Kind{}, err
	}
	return camera.Kind{
		Patience: firstPatience + patience,
		Repeats:  10 * time.Second, // a sensor's pictures, not compressed
		Open: func(context.Context) (camera.Source, error) {
			path, err := rpicam()
			if err != nil {
				return nil, err
			}
			p, err := start(path, rpicamArgs(n, w, h, o.Rate), nil)
			if err != nil {
				return nil, err
			}
			return newStream(p, bare(w, h)), nil
		},
	}, nil
}

func rpicam() (string, error) {
	for _, n := range rpicamNames {
		if path, err := exec.LookPath(n); err == nil {
			return path, nil
		}
	}
	return "", errNoRpicam
}

func rpicamArgs(n uint64, w, h int, rate float64) []string {
	args := []string{
		"--camera", strconv.FormatUint(n, 10), "--timeout", "0", "--nopreview", "--flush",
		"--codec", "yuv420", "--width", strconv.Itoa(w), "--height", strconv.Itoa(h), "--output", "-",
	}
	if rate > 0 {
		args = append(args, "--framerate", fmt.Sprint(rate))
	}
	return args
}

// bare is pictures of a known size and nothing between them.
func bare(w, h int) format {
	return format{
		head: func(*bufio.Reader) (image.Point, error) { return image.Pt(w, h), nil },
		mark: func(*bufio.Reader) error { return nil },
	}
}
