// Package kinds opens sources of every kind that edged knows, by how they are
// written in a configuration: the one place where all packages below camera meet.
package kinds

import (
	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/httpcam"
	"github.com/visualrwkv/edged/camera/pipe"
	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/camera/v4l2"
)

// Set opens sources. Simulated cameras of one set share their rooms. The zero
// value is ready; use one for the life of a process.
type Set struct{ rooms sim.Rooms }

// Open understands a spec, KIND:REST, and returns the source, which nothing was
// asked of yet; see [camera.Open]. Kinds, besides dir and file, are v4l2, csi,
// rtsp, rtsps, http, https and sim. The error for a spec that nobody understands
// wraps [camera.ErrSpec]. o is kept; its Kinds are set here.
func (s *Set) Open(spec string, o *camera.Options) (*camera.Camera, error) {
	type kind = func(string, *camera.Options) (camera.Kind, error)
	scheme := func(f func(scheme, rest string, o *camera.Options) (camera.Kind, error), scheme string) kind {
		return func(rest string, o *camera.Options) (camera.Kind, error) { return f(scheme, rest, o) }
	}
	o.Kinds = map[string]kind{
		"v4l2":  v4l2.Kind,
		"csi":   pipe.CSI,
		"rtsp":  scheme(pipe.RTSP, "rtsp"),
		"rtsps": scheme(pipe.RTSP, "rtsps"),
		"http":  scheme(httpcam.Kind, "http"),
		"https": scheme(httpcam.Kind, "https"),
		"sim":   s.rooms.Kind,
	}
	return camera.Open(spec, o)
}
