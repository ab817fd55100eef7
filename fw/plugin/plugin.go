package plugin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of plugins; docs/plugins.md.
const (
	DefaultMemory    = 16 << 20 // bytes
	MaxMemory        = 256 << 20
	DefaultCallLimit = 100 * time.Millisecond
	MinCallLimit     = time.Millisecond
	MaxCallLimit     = 10 * time.Second

	startLimit = 5 * time.Second
	maxLine    = 512 // bytes of a log line
	maxLines   = 20  // a minute
	maxAlerts  = 10  // a minute
	maxConfig  = 64 << 10

	maxFailures   = 5 // within failureWindow
	failureWindow = 10 * time.Minute
	firstPause    = time.Second // doubled with each failure in the window
)

// Permissions.
const (
	PermitFrames   = "on_frame"   // look at frames: previews
	PermitMask     = "mask"       // hide parts of them, which nobody is to see: without its answer none is seen
	PermitPixels   = "pixels"     // look at them in full, see Options.Width
	PermitCaptions = "on_caption" // read captions: tag and drop them
	PermitReplace  = "replace"    // write them anew
	PermitEmit     = "emit"       // raise alerts
)

var permissions = []string{PermitFrames, PermitMask, PermitPixels, PermitCaptions, PermitReplace, PermitEmit}

// Values of [Options].OnFailure.
const (
	FailPass  = "pass"
	FailBlock = "block"
)

// Options say how a plugin runs. Its functions are called while it runs, by the goroutine that
// called it: they must not wait, nor call the plugin.
type Options struct {
	Name   string // for errors
	Scene  string
	Views  []string        // a frame's view is a place in it
	Config json.RawMessage // empty: {}

	// Permissions it has; see the constants.
	Permissions []string

	Memory    int64         // bytes at most; 0: DefaultMemory
	CallLimit time.Duration // 0: DefaultCallLimit

	// OnFailure says what becomes of frames and captions that the plugin should have been asked about and has
	// not answered: FailPass or FailBlock. Empty: FailBlock with PermitMask, and from the first mask on, else
	// FailPass.
	OnFailure string

	// Width and Height bound the pictures that it is given with PermitPixels; 0: whole ones, and interpreted those
	// of InterpretedWidth and InterpretedHeight.
	Width, Height int

	// Log takes lines of the plugin and about it, which name neither plugin nor scene.
	Log func(level slog.Level, line string)
	// Emit takes alerts.
	Emit func(Alert)
	// Clock is the time since edged started; it never jumps.
	Clock func() time.Duration
}

// Blocks reports whether nothing passes without the plugin's answer, as far as options tell that.
func (o *Options) Blocks() bool {
	return o.OnFailure == FailBlock || o.OnFailure == "" && slices.Contains(o.Permissions, PermitMask)
}

// Alert is what a plugin wants to be known.
type Alert struct {
	Text string   // 1 to 1024 bytes, one line
	Tags []string // up to 8 of 1 to 64 bytes
	View string   // of Options.Views, or empty
}

// State of a plugin.
type State string

// States.
const (
	Running    State = "running"
	Restarting State = "restarting" // after a failure; see Options.OnFailure
	Disabled   State = "disabled"   // for good, after repeated failures, or closed
)

// Status is how a plugin is.
type Status struct {
	State    State
	Reason   string // of the last failure; empty: none
	Calls    uint64 // of frames and captions
	Failures uint64 // those of starting anew too
	Blocks   bool   // nothing passes without its answer
	MeanMS   float64
	MaxMS    float64
	// MemoryBytes is what the guest's memory has now.
	MemoryBytes int64
}

// Plugin is a module that runs for a scene. Its methods may be called by several goroutines;
// calls of the guest wait for each other.
type Plugin struct {
	module  *Module
	opts    Options
	limit   time.Duration // for starting
	start   []byte        // what edged_on_start is given
	frames  bool
	pixels  bool
	caption bool
	replace bool
	emits   bool
	blocks  atomic.Bool // nothing passes without its answer

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	anew   sync.WaitGroup // for the goroutine that makes the instance anew

	calls  sync.Mutex // held by the call that runs, and guards:
	in     *instance  // nil: none at present
	header [frameHeader]byte
	masks  [maxMasks]Rect

	mu       sync.Mutex // guards:
	status   Status
	total    time.Duration
	failures []time.Duration // times of the last ones, by Options.Clock
	lines    quota
	alerts   quota
	told     map[string]bool // what is logged once
}

// Start makes an instance of the module and starts it, within five seconds and the limit of
// ctx, which ends nothing later. Errors name the plugin and what it did.
func (m *Module) Start(ctx context.Context, opts Options) (*Plugin, error) {
	return m.startWithin(ctx, opts, startLimit)
}

func (m *Module) startWithin(ctx context.Context, opts Options, limit time.Duration) (*Plugin, error) {
	opts.Name = cmp.Or(opts.Name, m.name)
	opts.Memory = cmp.Or(opts.Memory, DefaultMemory)
	opts.CallLimit = cmp.Or(opts.CallLimit, DefaultCallLimit)
	p := &Plugin{module: m, opts: opts, limit: limit, status: Status{State: Running}, told: map[string]bool{},
		lines: quota{n: maxLines}, alerts: quota{n: maxAlerts}}
	if err := p.setup(); err != nil {
		return nil, fmt.Errorf("plugin %s: %w", opts.Name, err)
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	in, err := newInstance(ctx, p)
	if err != nil {
		p.cancel()
		return nil, fmt.Errorf("plugin %s: %w", opts.Name, err)
	}
	p.in = in
	p.status.MemoryBytes = int64(in.memory.size)
	return p, nil
}

// setup checks the options.
func (p *Plugin) setup() error {
	o := &p.opts
	if o.Memory < 0 || o.Memory > MaxMemory {
		return fmt.Errorf("memory of %d bytes, more than %d", o.Memory, MaxMemory)
	}
	if o.Width < 0 || o.Height < 0 || (o.Width == 0) != (o.Height == 0) {
		return fmt.Errorf("pictures of %d x %d", o.Width, o.Height)
	}
	o.Memory = (o.Memory + pageSize - 1) / pageSize * pageSize
	if least := int64(p.module.layout.minPages) * pageSize; least > o.Memory {
		return fmt.Errorf("the module needs %.1f MiB of memory, its limit is %.1f MiB", float64(least)/(1<<20), float64(o.Memory)/(1<<20))
	}
	if o.CallLimit < MinCallLimit || o.CallLimit > MaxCallLimit {
		return fmt.Errorf("a call limit of %v, not within %v and %v", o.CallLimit, MinCallLimit, MaxCallLimit)
	}
	may := func(permission string) bool { return slices.Contains(o.Permissions, permission) }
	if !slices.Contains([]string{"", FailPass, FailBlock}, o.OnFailure) {
		return fmt.Errorf("on failure %q, neither %s nor %s", o.OnFailure, FailPass, FailBlock)
	}
	p.blocks.Store(o.Blocks())
	for _, name := range o.Permissions {
		if !slices.Contains(permissions, name) {
			return fmt.Errorf("unknown permission %q", name)
		}
	}
	_, frame := p.module.layout.functions[exportFrame]
	_, caption := p.module.layout.functions[exportCaption]
	p.frames, p.caption = frame && may(PermitFrames), caption && may(PermitCaptions)
	p.pixels, p.replace, p.emits = p.frames && may(PermitPixels), may(PermitReplace), may(PermitEmit)
	if may(PermitMask) && !p.frames && o.OnFailure != FailPass {
		return fmt.Errorf("it is to mask, and cannot: that needs %s and the permission %q", exportFrame, PermitFrames)
	}
	if !p.frames && !p.caption {
		return fmt.Errorf("it may do nothing: permitted is %q; frames need %q, captions %q", o.Permissions, PermitFrames, PermitCaptions)
	}
	if len(o.Config) == 0 {
		o.Config = json.RawMessage("{}")
	}
	if len(o.Config) > maxConfig {
		return fmt.Errorf("a config of %d bytes, more than %d", len(o.Config), maxConfig)
	}
	if o.Log == nil {
		o.Log = func(slog.Level, string) {}
	}
	if o.Emit == nil {
		o.Emit = func(Alert) {}
	}
	if o.Clock == nil {
		o.Clock = func() time.Duration { return time.Since(processStart) }
	}
	var err error
	p.start, err = json.Marshal(struct {
		ABI         int             `json:"abi"`
		Scene       string          `json:"scene"`
		Views       []string        `json:"views"`
		Permissions []string        `json:"permissions"`
		Config      json.RawMessage `json:"config"`
	}{abi, o.Scene, append([]string{}, o.Views...), append([]string{}, o.Permissions...), o.Config})
	if err != nil {
		return fmt.Errorf("its config: %w", err)
	}
	return nil
}

// WantsFrames says whether Frame does something, and whether with more than previews.
func (p *Plugin) WantsFrames() (wants, pixels bool) { return p.frames, p.pixels }

// PictureSize bounds the pictures that it is to be given, whose shape is kept; 0: they are to be whole.
func (p *Plugin) PictureSize() (width, height int) {
	switch {
	case !p.pixels:
		return PreviewWidth, PreviewHeight
	case p.opts.Width == 0 && !p.module.compiled:
		return InterpretedWidth, InterpretedHeight
	}
	return p.opts.Width, p.opts.Height
}

// WantsCaptions says whether Caption does something.
func (p *Plugin) WantsCaptions() bool { return p.caption }

// Status says how the plugin is. It does not wait for a call.
func (p *Plugin) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.Blocks = p.blocks.Load()
	if s.Calls > 0 {
		s.MeanMS = p.total.Seconds() * 1e3 / float64(s.Calls)
	}
	return s
}

// Close ends a call that runs, and the plugin. Calls that follow do nothing.
func (p *Plugin) Close() error {
	p.cancel()
	p.calls.Lock()
	in := p.in
	p.in = nil
	p.calls.Unlock()
	p.anew.Wait()
	p.set(Disabled, 0)
	if in == nil {
		return nil
	}
	return in.close()
}

func (p *Plugin) set(s State, memory uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.State, p.status.MemoryBytes = s, int64(memory)
}

// done accounts for a call that began at the given time. p.calls is held.
func (p *Plugin) done(began time.Time, err error) {
	took := time.Since(began)
	p.mu.Lock()
	p.status.Calls++
	p.total += took
	p.status.MaxMS = max(p.status.MaxMS, took.Seconds()*1e3)
	p.status.MemoryBytes = int64(p.in.memory.size)
	p.mu.Unlock()
	if err != nil {
		p.drop(err)
	}
}

// drop throws the instance away, which failed or was stopped, and sees to it that there will be
// another. p.calls is held.
func (p *Plugin) drop(err error) {
	err = errors.Join(err, p.in.close())
	p.in = nil
	if p.ctx.Err() != nil {
		return // closed
	}
	pause, again := p.failed(err)
	if again {
		p.anew.Go(func() { p.restart(pause) })
	}
}

// failed accounts for a failure. It says whether to try again, and after which pause.
func (p *Plugin) failed(err error) (pause time.Duration, again bool) {
	if errors.Is(err, errCancelled) {
		p.set(Restarting, 0)
		return 0, true // the caller's wish, nobody's fault
	}
	reason := brief(err.Error())
	now := p.opts.Clock()
	p.mu.Lock()
	p.failures = append(slices.DeleteFunc(p.failures, func(t time.Duration) bool { return now-t > failureWindow }), now)
	n := len(p.failures)
	p.status.Failures++
	p.status.Reason = reason
	p.status.State, p.status.MemoryBytes = Restarting, 0
	if n >= maxFailures {
		p.status.State = Disabled
	}
	p.mu.Unlock()
	if n >= maxFailures {
		p.opts.Log(slog.LevelError, fmt.Sprintf("%s; it failed %d times within %v and is disabled%s", reason, n, failureWindow, p.consequence("")))
		return 0, false
	}
	pause = firstPause << (n - 1)
	p.opts.Log(slog.LevelWarn, fmt.Sprintf("%s; it is started anew in %v%s", reason, pause, p.consequence(" until then")))
	return pause, true
}

// consequence tells what a failure means for frames and captions, for so long.
func (p *Plugin) consequence(until string) string {
	if !p.blocks.Load() {
		return ""
	}
	return ":" + until + " nothing passes that it should be asked about"
}

// restart makes an instance after a pause, until one starts or it failed too often.
func (p *Plugin) restart(pause time.Duration) {
	for again := true; again; {
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-p.ctx.Done():
			t.Stop()
			return
		}
		in, err := newInstance(p.ctx, p)
		if err == nil {
			p.use(in)
			return
		}
		if p.ctx.Err() != nil {
			return
		}
		pause, again = p.failed(err)
	}
}

// use lets calls have a new instance, if the plugin has not been closed meanwhile.
func (p *Plugin) use(in *instance) {
	p.calls.Lock()
	defer p.calls.Unlock()
	if p.ctx.Err() != nil {
		_ = in.close() // unmapping: it cannot fail
		return
	}
	p.in = in
	p.set(Running, in.memory.size)
}

// guestLine logs a line of the guest, if it has not logged too many.
func (p *Plugin) guestLine(level slog.Level, line string) {
	p.mu.Lock()
	ok, over := p.lines.take(p.opts.Clock())
	p.mu.Unlock()
	if over > 0 {
		p.opts.Log(slog.LevelWarn, fmt.Sprintf("%d more lines within a minute were left out", over))
	}
	if ok {
		p.opts.Log(level, line)
	}
}

// once logs a line about what, the first time.
func (p *Plugin) once(what, line string) {
	p.mu.Lock()
	told := p.told[what]
	p.told[what] = true
	p.mu.Unlock()
	if !told {
		p.opts.Log(slog.LevelWarn, line)
	}
}

// emit raises what a guest hands over, if it may.
func (p *Plugin) emit(data []byte) error {
	a, err := parseAlert(data, p.opts.Views)
	if err == nil && p.mayAlert() {
		p.opts.Emit(a)
	}
	return err
}

// mayAlert says whether one more alert may be raised, and logs if not.
func (p *Plugin) mayAlert() bool {
	if !p.emits {
		p.once("emit", "it raised an alert without the permission emit: ignored")
		return false
	}
	p.mu.Lock()
	ok, over := p.alerts.take(p.opts.Clock())
	first := !ok && p.alerts.over == 1
	p.mu.Unlock()
	if over > 0 {
		p.opts.Log(slog.LevelWarn, fmt.Sprintf("%d more alerts within a minute were left out", over))
	}
	if first {
		p.opts.Log(slog.LevelWarn, fmt.Sprintf("more than %d alerts within a minute: the next ones are left out", maxAlerts))
	}
	return ok
}
