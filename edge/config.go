package edge

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/edge/thermal"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/wire"
)

// Config describes a daemon that watches places with one model. Model and
// Scenes must be set. The model stays the caller's.
type Config struct {
	Model  Model
	Scenes []Scene // with names of their own; more can be added later

	// Trial says that the model has to prove itself: see [Daemon.Proof]. Until then its
	// errors end no scene.
	Trial bool

	// Socket is the path of the socket to listen on; empty means none.
	Socket     string
	SocketMode fs.FileMode       // who may connect; 0 means 0600, the owner
	Serve      wire.ServeOptions // limits on clients

	// Questions is how many questions may be in flight, waiting ones included,
	// before the next one is refused; 0 means 64. Up to four are answered
	// together.
	Questions int

	Journal Journal // where events are kept

	// Reload reads the configuration again when an administrator says so; nil:
	// there is none.
	Reload func() error

	// Log is told, in a line for people, what happens to a scene: that it began,
	// that it ended and why. It may be called from several goroutines. Nil:
	// nobody.
	Log func(line string)

	// Watchdog looks at what has to move: the capture of each camera, each scene,
	// and inference as a whole. Nil: nobody looks.
	Watchdog *watchdog.Watchdog

	// Problems lists what is wrong with the process around the daemon, for its
	// status. It may be called at any time. Nil: nothing is.
	Problems func() []string

	// Bundle names what was delivered that runs, for its status; empty: nothing was. It may
	// be called at any time. Nil: nothing was.
	Bundle func() string

	// Thermal says which share of the time may be spent on work. The daemon runs
	// it. Nil: all of the time.
	Thermal *thermal.Governor

	Version string // of the program, for clients
}

// Scene is a place that one or more cameras look at, with one memory. Once it
// has been accepted by [New] or [Daemon.Add], the daemon closes the sources.
type Scene struct {
	Name  string // empty means "room"
	Views []camera.View

	// Prompts are the questions that captions answer. Whenever the scene is described, each
	// of them is answered, from the same memory and in one batch, by a caption of its own.
	// None means the model's own, in no language that is known.
	Prompts []Prompt

	// Interval is the least time between two frame sets that the model sees;
	// zero lets it see as many as it can.
	Interval time.Duration

	// CaptionInterval is the least time between two captions. A change that
	// comes earlier is described when it is over.
	CaptionInterval time.Duration

	// LockStep uses every frame: sources wait for the model. Otherwise the
	// newest frame wins.
	LockStep bool

	// Frames ends the watching after so many frame sets; 0 goes on until the
	// sources end.
	Frames uint64

	// MaxSkew is how far apart in time the frames of a set may be taken; older
	// frames are dropped. Zero means any.
	MaxSkew time.Duration

	// MaxWait is how long a frame set waits for a view that has no frame when
	// others have; then it goes without that view. It waits for it again once it
	// has delivered. Zero means 2 s; in lock step views are waited for until they
	// end.
	MaxWait time.Duration

	Gate Gate

	// Window bounds what is remembered, in frame sets: two memories are carried
	// that began half a window apart, and the older answers, which holds between
	// Window/2 and Window. 0 carries one for ever.
	Window int

	// Snapshots says where and how long snapshots are kept. Its Scene, Model and
	// Report are set by the daemon. Without a Dir they are in RAM only; else the
	// scene begins with the newest good one there.
	Snapshots memory.Config

	// Memory is what the scene begins with instead: a snapshot of the same model
	// and the same views.
	Memory *memory.Snapshot

	// Plugins are asked, in this order, about each picture before it is looked at, and about
	// each text before it is published, as far as they have permission to. [Daemon.SetPlugins] exchanges
	// them.
	Plugins []Plugin

	// Alerted is told of each alert of theirs, when it is published. It must neither keep nor
	// change it.
	Alerted func(*wire.Event)

	// Observe is told of each frame set after it was used, from the goroutine
	// that owns the stream. It must not keep the step.
	Observe func(*Step)
}

// Prompt is a question that captions answer.
type Prompt struct {
	Language string // of the captions, by which clients choose; no two of a scene are the same
	Question string // empty means the model's own
}

// Step is what became of one frame set.
type Step struct {
	Set   *FrameSet
	Views []string // names of those that the model saw, when there is a Text
	MS    wire.StageMS
	Text  string   // the answer to the first prompt, as plugins left it; empty when the gate was closed, or one of them dropped it
	Tags  []string // that plugins gave it
	New   bool     // a text was published: it differs from the caption before in its language
	State int64    // bytes of a snapshot

	texts []wording // for each prompt
}

// wording is a text of the model, as plugins left it.
type wording struct {
	text    string
	tags    []string
	dropped bool // it is not published
}

func (c *Config) check() error {
	if c.Model == nil {
		return errors.New("edge: no model")
	}
	if len(c.Scenes) == 0 {
		return errors.New("edge: no scene")
	}
	return nil
}

func (s *Scene) check(m Model) error {
	if len(s.Views) == 0 {
		return fmt.Errorf("edge: scene %s: no view", s.Name)
	}
	if s.Window < 0 || s.Window == 1 {
		return fmt.Errorf("edge: scene %s: a window of %d frame sets: 2 at least, or 0 for none", s.Name, s.Window)
	}
	for i, p := range s.Prompts {
		if slices.ContainsFunc(s.Prompts[:i], func(o Prompt) bool { return o.Language == p.Language }) {
			return fmt.Errorf("edge: scene %s: two prompts for captions in the language %q", s.Name, p.Language)
		}
	}
	on := 0
	for _, v := range s.Views {
		if v.Source != nil {
			on++
		}
	}
	if on == 0 {
		return fmt.Errorf("edge: scene %s: all views are switched off", s.Name)
	}
	if n := m.MaxViews(); on > n {
		return fmt.Errorf("edge: scene %s: %d views: model %s takes %d at most", s.Name, on, m.Name(), n)
	}
	return nil
}
