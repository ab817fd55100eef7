package edge

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/wire"
)

// Config describes a daemon that watches one scene. Model and Views must be
// set. Once New has succeeded, Close closes the sources of the views; the model
// stays the caller's.
type Config struct {
	Scene string // name; empty means "room"
	Model Model
	Views []camera.View

	// Socket is the path of the socket to listen on; empty means none.
	Socket     string
	SocketMode fs.FileMode       // who may connect; 0 means 0600, the owner
	Serve      wire.ServeOptions // limits on clients

	// LockStep uses every frame: sources wait for the model. Otherwise the
	// newest frame wins.
	LockStep bool

	// Frames ends the watching after so many frame sets; 0 goes on until the
	// sources end.
	Frames uint64

	// MaxSkew is how far apart in time the frames of a set may be taken; older
	// frames are dropped. Zero means any.
	MaxSkew time.Duration

	Gate Gate

	// Questions is how many questions may wait for an answer before the next
	// one is refused; 0 means 8.
	Questions int

	// Observe is told of each frame set after it was used, from the goroutine
	// that owns the stream. It must not keep the step.
	Observe func(*Step)

	Version string // of the program, for clients
}

// Step is what became of one frame set.
type Step struct {
	Set   *FrameSet
	MS    wire.StageMS
	Text  string // what the model said; empty when the gate was closed
	New   bool   // Text was published: it differs from the caption before
	State int64  // bytes of a snapshot
}

func (c *Config) check() error {
	if c.Model == nil {
		return errors.New("edge: no model")
	}
	if len(c.Views) == 0 {
		return errors.New("edge: no view")
	}
	if n := c.Model.MaxViews(); len(c.Views) > n {
		return fmt.Errorf("edge: %d views: model %s takes %d at most", len(c.Views), c.Model.Name(), n)
	}
	return nil
}
