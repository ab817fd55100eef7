// Package config reads the file that tells edged what to watch and how.
//
// The file is YAML of the plainest sort: no anchors, aliases or tags, and no key
// that is not known. What is wrong is told all at once, each with file, line,
// column and the line with a caret. Nothing is opened or asked: a source that is
// written well may still not be there.
//
// docs/example.yaml explains every key.
package config

import (
	"encoding/json"
	"io/fs"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// File is what a configuration says. Relative paths in it count from the folder
// of the file and are absolute here.
type File struct {
	Path string // of the file, absolute

	Model    string // path of a model file; empty: the one in the binary
	StateDir string // empty: the usual place
	Socket   Socket

	Threads int    // goroutines that compute; 0: one per CPU
	CPUs    string // list of CPUs to keep to; empty: all that may be used

	Budgets Budgets
	Memory  Memory
	Log     Log
	Outputs []Output

	Plugins []Plugin
	Bundled []Plugin // what the defaults of a bundle say of its plugins; those of Plugins have it too
	WASM    string   // how plugins are run: WASMAuto, WASMCompiler or WASMInterpreter

	Prompts map[string]string // by language
	Scenes  []Scene           // one at least, with names of their own
}

// Socket is where clients connect, and what they may do.
type Socket struct {
	Path  string      // empty: the usual place
	Mode  fs.FileMode // of the file; 0: the owner alone
	Roles []Role
}

// Role gives users, or members of a group, the right to view, ask or admin.
type Role struct {
	UID, GID int64 // -1: any
	Role     string
}

// Budgets are limits, in bytes but for Celsius; 0 is none.
type Budgets struct {
	RAM          int64 // resident; a start that would need more is refused
	Disk         int64 // of the state directory
	WritesPerDay int64
	Celsius      float64 // that the processor stays below, by working less
}

// Memory says what scenes carry, and what is kept of it.
type Memory struct {
	Mode     string        // Continuous or Window
	Window   int           // frame sets; of Window alone
	Snapshot time.Duration // between two snapshots on disk
}

// Values of [Memory].Mode.
const (
	Continuous = "continuous"
	Window     = "window"
)

// Log says how much of captions and events is kept in the state directory.
type Log struct {
	Size int64         // bytes of the newest; 0: a quarter of [Budgets].Disk, which is the most it may be
	Age  time.Duration // what is certainly older is deleted; 0: nothing is
}

// Output is where captions and events go besides the socket.
type Output struct {
	JSONL string // path of a file of JSON lines; "-" is the standard output
}

// Plugin says which plugin runs, where, and what it may do.
type Plugin struct {
	File   string // path of a WASM module; or
	Bundle string // name of one in the bundle that is installed, which runs in all scenes unless it is said here

	Off       bool            // of a bundle: it does not run
	Scenes    []string        // where it runs; none: in all
	Allow     []string        // of a file: permissions, of [fw.Permissions]; a bundle's are in its manifest
	Config    json.RawMessage // what it is given, as JSON; nil: nothing
	Memory    int64           // bytes that it may take in each scene; 0: as many as by default
	CallLimit time.Duration   // that a call may take; 0: as long as by default
	Rate      float64         // pictures of each view that it is asked about in a second; 0: as many as by default
	Width     int             // of the largest pictures that it is given with the permission pixels; 0: as by default
	Height    int
	OnFailure string // OnFailurePass or OnFailureBlock; empty: as its permissions have it
}

// Values of [Plugin].OnFailure: what becomes of pictures and captions that it has not answered about.
const (
	OnFailurePass  = "pass"
	OnFailureBlock = "block"
)

// Values of [File].WASM.
const (
	WASMAuto        = "auto"        // the compiler where this process may make code, else the interpreter
	WASMCompiler    = "compiler"    // faster
	WASMInterpreter = "interpreter" // needs no memory that is written and executed
)

// Scene is a place that several cameras look at.
type Scene struct {
	Name            string
	Views           []View   // of which one at least is enabled
	Prompts         []Prompt // that captions answer; none: the model's own
	Interval        time.Duration
	CaptionInterval time.Duration
	MaxSkew         time.Duration
	MaxWait         time.Duration
	Gate            Gate
}

// Prompt is a question that captions answer.
type Prompt struct {
	Language string // of [File].Prompts; empty: the scene gives the question itself
	Question string // empty: the model's own
}

// Gate says what counts as a change; see [github.com/visualrwkv/edged/edge.Gate].
type Gate struct {
	Pixels float64
	State  float64 // negative: not given
	Idle   time.Duration
}

// View is one camera.
type View struct {
	Name          string
	Disabled      bool
	Source        string // as [camera.Open] takes it
	Width, Height int    // wished for; 0: 640x480
	Rate          float64
	Controls      map[string]int32
	Masks         []camera.Area
	Region        camera.Area   // zero: all of the picture
	FrozenAfter   time.Duration // [camera.Options].Repeats
}

// DefaultIdle is the [Gate].Idle of a scene that does not say.
const DefaultIdle = 10 * time.Second

// Defaults of what else a scene does not say.
const (
	defaultInterval = time.Second
	defaultMaxSkew  = 500 * time.Millisecond
	defaultMaxWait  = 2 * time.Second
	defaultSnapshot = 5 * time.Minute
	defaultWindow   = 1000
	defaultCelsius  = 80
)

// Limits that only typing errors exceed. A status names every scene and view with all
// their figures, and must stay within wire.MaxElements.
const (
	maxScenes   = 16
	maxViews    = 16 // of a scene
	maxAllViews = 64 // of all scenes, disabled ones included
	maxMasks    = 64
	maxSide     = 16384 // of a picture

	maxPlugins = 16 // entries
	// MaxRunning is how many plugins may run, each counted in every scene in which it does.
	MaxRunning = 32

	maxLanguages = 4  // of a scene: as many texts as captions are given of a pass of the decoder
	maxLanguage  = 64 // bytes of a name

	leastLog = 1 << 20  // bytes
	mostLog  = 64 << 30 // bytes
)

// Enabled is the number of views that are not switched off.
func (s *Scene) Enabled() (n int) {
	for _, v := range s.Views {
		if !v.Disabled {
			n++
		}
	}
	return n
}

// Views is the number of cameras in use.
func (f *File) Views() (n int) {
	for _, s := range f.Scenes {
		n += s.Enabled()
	}
	return n
}
