package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/fw/plugin"
	"github.com/visualrwkv/edged/internal/procmem"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/preprocess"
	"github.com/visualrwkv/edged/wire"
)

const demoAbout = `Watches a simulated room with the embedded model and says what it sees, in the
terminal and on the local socket, until Ctrl-C. No camera, no download. With
-source it watches a folder of pictures instead: one sub-folder per view, or
files named VIEW-NUMBER.png or .jpg.`

type demoFlags struct {
	views          int
	frames, seed   uint64
	model, source  string
	plugin, socket string
	cpus           cpuList
	threads        int
	json, quiet    bool
	every          time.Duration
}

// demoMain is "edged demo".
func demoMain(args []string, stdout, stderr io.Writer) int {
	var o demoFlags
	fs := newFlags("demo", "[flags]", demoAbout)
	fs.IntVar(&o.views, "views", 2, "cameras in the room, 1 to 4; the model in the binary was trained with one and two")
	fs.Uint64Var(&o.frames, "frames", 0, "end after so many frame sets, none skipped: the same captions for the same seed (default: go on)")
	fs.Uint64Var(&o.seed, "seed", 1, "which room")
	fs.StringVar(&o.model, "model", "", modelHelp)
	fs.StringVar(&o.source, "source", "", "watch the pictures of this `folder`")
	fs.StringVar(&o.plugin, "plugin", "", "WASM plugin `file`, which may do everything that a plugin can (docs/plugins.md)")
	fs.StringVar(&o.socket, "socket", "", socketHelp)
	fs.BoolVar(&o.json, "json", false, "print one JSON object per caption, and a summary")
	fs.BoolVar(&o.quiet, "quiet", false, "print the summary only")
	fs.DurationVar(&o.every, "every", 0, "time between two frame sets (default 1s, with -frames and no terminal as fast as possible)")
	fs.IntVar(&o.threads, "threads", 0, threadsHelp)
	fs.Var(&o.cpus, "cpus", cpusHelp)
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	if what := o.check(fs); what != "" {
		return wrongUse(fs, stderr, what)
	}
	// Who asks for SIGPIPE is not killed by it. It is no reason to end by itself: a
	// client that leaves raises it too. A write to a closed pipe fails, and that
	// ends the demo like Ctrl-C: nothing may be left behind.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return runDemo(ctx, o, stdout, stderr)
}

func (o *demoFlags) check(fs *flag.FlagSet) string {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case fs.NArg() > 0:
		return fmt.Sprintf("unexpected argument %q", fs.Arg(0))
	case o.views < 1 || o.views > 4:
		return fmt.Sprintf("-views %d: 1 to 4", o.views)
	case o.source != "" && (given["views"] || given["seed"]):
		return "-views and -seed are for the simulated room, with -source the folder says"
	case o.every < 0:
		return "-every: must not be negative"
	case o.threads < 0:
		return "-threads: must not be negative"
	case given["frames"] && o.frames == 0:
		return "-frames 0: at least 1"
	}
	return ""
}

// demo is one run: what is watched, who is told, and the score.
type demo struct {
	demoFlags
	model   edge.Model
	gate    edge.Gate
	room    *sim.Room // nil with -source
	folders []*camera.Folder
	views   []camera.View
	plugins []edge.Plugin
	out     display
	showing sync.Mutex // held while out shows a step or an alert
	tally   tally
	ended   atomic.Pointer[error] // the first failed write; the run ends with it
	cancel  context.CancelFunc
	begun   chan struct{} // closed when out has begun
}

// display shows a run to people or programs. Its methods are called one after
// the other, but note, which may come at any time.
type display interface {
	begin(d *demo, socket string) error
	step(s *edge.Step, c *verdict) error // c is nil when no caption was published
	alert(e *wire.Event) error
	note(text string)
	end(s *summary) error // always called once after begin, whatever happened
}

func runDemo(ctx context.Context, o demoFlags, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintf(stderr, "edged demo: %v\n", err)
		return code
	}
	defer keepSmall()()
	if err := o.cpus.bind(); err != nil {
		return fail(exitUsage, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &demo{demoFlags: o, cancel: cancel, begun: make(chan struct{})}
	d.out = chooseDisplay(o, stdout, stderr)
	_, watched := d.out.(*terminalView)

	// People watch at the pace of life; a run of given length goes as fast as
	// the model does.
	if d.every == 0 && (watched || o.frames == 0) {
		d.every = time.Second
	}
	if err := d.open(); err != nil {
		return fail(exitInput, err)
	}
	m, err := openModel(o.model, &vlm.Options{Threads: o.threads})
	if err != nil {
		return fail(exitInput, err)
	}
	defer m.Close()
	d.model, d.gate = edge.VLM(m), edge.Gate{State: gateState(o.model)}
	plugins := newPluginHost(config.WASMAuto, "", nil)
	defer plugins.close()
	if err := d.openPlugin(ctx, plugins); err != nil {
		return fail(exitInput, err)
	}

	path, undo, err := demoSocket(o.socket)
	defer undo()
	if err != nil {
		return fail(exitFailed, err)
	}
	daemon, err := edge.New(d.config(path))
	if err != nil {
		return fail(exitInput, err)
	}
	if err := daemon.Start(ctx); err != nil {
		return fail(exitFailed, err)
	}
	err = d.out.begin(d, path) // now that its socket answers
	if err == nil && o.plugin != "" {
		d.out.note(fmt.Sprintf("plugin %s may do everything that a plugin can: %s", o.plugin, strings.Join(fw.Permissions, ", ")))
	}
	close(d.begun)
	if err != nil {
		d.out.end(nil)
		return fail(exitFailed, errors.Join(err, daemon.Close()))
	}
	select {
	case <-ctx.Done():
	case <-daemon.Done():
		if watched && o.source != "" && o.frames == 0 && daemon.Err() == nil {
			d.out.note("that was the last picture; questions are still answered")
			<-ctx.Done()
		}
	}
	err = errors.Join(daemon.Close(), daemon.Err())
	s := d.summary(daemon.Stats())
	if e := d.ended.Load(); e != nil {
		err = errors.Join(err, *e)
	}
	if e := d.out.end(s); err == nil { // else it likely says the same again
		err = e
	}
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		return fail(exitFailed, err)
	}
	if s.Frames == 0 && s.BadPictures > 0 && ctx.Err() == nil {
		return fail(exitInput, fmt.Errorf("%s: no picture that is not bad", d.source))
	}
	return exitOK
}

// keepSmall makes the collector keep the heap close to what is in use, which is
// little and does not grow: weights are no part of it. The default would let it
// double over hours before the first collection. undo is for tests.
func keepSmall() (undo func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	old := debug.SetGCPercent(20)
	return func() { debug.SetGCPercent(old) }
}

// openPlugin compiles the plugin, if one is given, which may do everything.
func (d *demo) openPlugin(ctx context.Context, h *pluginHost) error {
	if d.plugin == "" {
		return nil
	}
	name := pluginName(d.plugin)
	m, err := h.compile(ctx, pluginSpec{name: name, path: d.plugin})
	if err == nil {
		// There is nothing to hide in a simulated room, and what fails is best seen beside captions.
		d.plugins = []edge.Plugin{{Module: m, Options: plugin.Options{Name: name, Permissions: fw.Permissions, OnFailure: plugin.FailPass}}}
	}
	return err
}

// open makes the views.
func (d *demo) open() error {
	if d.source == "" {
		d.room = sim.NewRoom(d.seed, d.demoFlags.views, d.every, d.frames == 0)
		d.views = d.room.Views()
		return nil
	}
	var err error
	d.views, err = camera.OpenFolder(d.source, decodePicture, &camera.FolderOptions{
		Every: d.every,
		Bad:   func(err error) { d.out.note("skipped: " + err.Error()) },
	})
	for _, v := range d.views {
		d.folders = append(d.folders, v.Source.(*camera.Folder))
	}
	return err
}

func decodePicture(data []byte) (image.Image, error) { return preprocess.Decode(data, nil) }

// demoSnapshots is the RAM, in bytes, for what -at and -diff ask about.
const demoSnapshots = 1 << 20

func (d *demo) config(socket string) edge.Config {
	s := edge.Scene{
		Name: "room", Views: d.views, Gate: d.gate,
		LockStep: d.frames > 0 || d.source != "", Frames: d.frames,
		Observe: d.observe, Snapshots: memory.Config{RAM: demoSnapshots},
		Plugins: d.plugins, Alerted: d.alerted,
	}
	if d.source != "" {
		if abs, err := filepath.Abs(d.source); err == nil {
			s.Name = filepath.Base(abs)
		}
	}
	// Frames of one instant have the same time; half a step tells them apart.
	s.MaxSkew = d.every / 2
	if d.every == 0 {
		s.MaxSkew = time.Second / 2
	}
	c := edge.Config{Model: d.model, Scenes: []edge.Scene{s}, Socket: socket, Version: version()}
	if d.plugin != "" {
		c.Log = func(line string) {
			if about, ok := strings.CutPrefix(line, s.Name+": plugin "); ok {
				d.out.note(about)
			}
		}
	}
	return c
}

// observe scores and shows one frame set.
func (d *demo) observe(s *edge.Step) {
	<-d.begun
	var c *verdict
	if s.New {
		c = &verdict{frame: s.Set.Number, text: s.Text, tags: s.Tags, views: s.Views, ms: s.MS}
		if d.room != nil {
			c.truth, c.known = d.room.Truth(s.Set.Seq())
		}
		d.tally.add(c)
	}
	d.show(func() error { return d.out.step(s, c) })
}

// alerted shows what a plugin wants to be known.
func (d *demo) alerted(e *wire.Event) {
	<-d.begun
	d.show(func() error { return d.out.alert(e) })
}

// show ends the run when nobody can see it any more.
func (d *demo) show(f func() error) {
	d.showing.Lock()
	defer d.showing.Unlock()
	if err := f(); err != nil && d.ended.CompareAndSwap(nil, &err) {
		d.cancel()
	}
}

func (d *demo) summary(st edge.Stats) *summary {
	s := &summary{
		Type: "summary", Frames: st.Frames, Captions: st.Captions, Gated: st.Gated, Repeated: st.Repeated, Skipped: st.Skipped,
		RSSBytes: procmem.Resident(), StateBytes: st.Memory,
	}
	for _, f := range d.folders {
		s.BadPictures += f.Bad()
	}
	s.Exact, s.Slots = d.tally.fractions()
	return s
}
