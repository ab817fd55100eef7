//go:build !linux

package v4l2

import (
	"errors"

	"github.com/visualrwkv/edged/camera"
)

func kind(string, *camera.Options) (camera.Kind, error) {
	return camera.Kind{}, errors.New("cameras of this kind are for Linux")
}

// List returns nothing: only Linux has such nodes.
func List() []Node { return nil }
