package v4l2

import (
	"errors"
	"fmt"
	"strings"

	"github.com/visualrwkv/edged/camera"
)

// What is asked for where [camera.Options] says nothing.
const (
	defaultWidth  = 640
	defaultHeight = 480
)

// Kind understands what follows "v4l2:" in a spec:
//
//	/dev/video0 or video0    a node, whichever camera it is today
//	by-id/NAME               a camera, wherever it is plugged in
//	by-path/NAME             whatever is plugged in there
//	serial:NUMBER            the camera with this serial number
//
// [List] knows the names. It is for [camera.Options].Kinds.
func Kind(spec string, o *camera.Options) (camera.Kind, error) {
	if name, ok := strings.CutPrefix(spec, "serial:"); ok && name == "" || spec == "" {
		return camera.Kind{}, errors.New("want a node, by-id/NAME, by-path/NAME or serial:NUMBER")
	}
	if o.Width < 0 || o.Height < 0 || o.Rate < 0 {
		return camera.Kind{}, fmt.Errorf("pictures of %dx%d, %v a second", o.Width, o.Height, o.Rate)
	}
	return kind(spec, o)
}
