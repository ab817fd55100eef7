package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/camera/kinds"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/edge/thermal"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

const runAbout = `Watches the scenes of a configuration until it is told to stop by SIGTERM or
Ctrl-C. What happens to cameras and scenes is told on the standard error, in one
line per change. SIGHUP has the configuration read again: scenes that have the same
views go on, with what else was changed of them, their plugins included; those of other
views begin anew with the memory that they had. A file that is wrong changes nothing.
Another model, another file of its name, and a bundle that was installed or given up,
is tried beside the one that runs and exchanged while cameras stay open. state_dir, wasm,
threads, cpus, and path and mode of the socket take effect at the next start, which the
log says when they differ.`

// runMain is "edged run".
func runMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("run", "-config FILE [flags]", runAbout)
	var o runOptions
	fs.StringVar(&o.config, "config", "", configHelp)
	fs.StringVar(&o.socket, "socket", "", socketHelp)
	fs.StringVar(&o.state, "state", "", stateHelp)
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	switch {
	case fs.NArg() > 0:
		return wrongUse(fs, stderr, fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	case o.config == "":
		return wrongUse(fs, stderr, "no -config")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal ends a daemon that did not stop in the time that it should. Before, it
	// is one that came twice, as "timeout" and who ends a process with its group send it.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopTime, stop) })()
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	o.again = again
	return runDaemon(ctx, o, stdout, stderr)
}

// stopTime is how long edged may take to stop.
const stopTime = 2 * time.Second

type runOptions struct {
	config, socket, state string
	again                 <-chan os.Signal                // asks for the configuration to be read again
	limit                 func(bytes int64) time.Duration // that a model on trial has; nil: healthLimit
}

// badInput is an error about a file that was given.
type badInput struct{ error }

func (b badInput) Unwrap() error { return b.error }

func runDaemon(ctx context.Context, o runOptions, stdout, stderr io.Writer) int {
	f, err := config.Load(o.config)
	if err != nil {
		printConfigError(stderr, "run", err)
		return exitInput
	}
	if err := watchScenes(ctx, o, f, stdout, newRunLog(stderr)); err != nil {
		fmt.Fprintf(stderr, "edged run: %v\n", err)
		if _, ok := errors.AsType[badInput](err); ok {
			return exitInput
		}
		return exitFailed
	}
	return exitOK
}

// watchScenes runs the daemon until ctx ends.
func watchScenes(ctx context.Context, o runOptions, f *config.File, stdout io.Writer, log *runLog) (err error) {
	defer keepSmall()()
	var cpus cpuList
	if f.CPUs != "" {
		if err := cpus.Set(f.CPUs); err != nil {
			return badInput{fmt.Errorf("cpus: %w", err)}
		}
	}
	if err := cpus.bind(); err != nil {
		return fmt.Errorf("cpus: %w", err)
	}
	state, err := statePath(o.state, f.StateDir)
	if err != nil {
		return err
	}
	service := &service{log: log}
	unlock, err := lockState(state)
	switch {
	case errors.Is(err, errLocked):
		return err
	case err != nil: // captions matter more than keeping them
		service.trouble("state", err.Error())
	default:
		defer unlock()
	}
	service.keepReports(state)
	defer service.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p := &depot{state: state, options: &vlm.Options{Threads: f.Threads}, log: log, limit: o.limit, crash: service.crash()}
	if p.limit == nil {
		p.limit = healthLimit
	}
	r := &reloader{ctx: ctx, path: o.config, depot: p, log: log, failed: make(chan error, 1)}
	r.plugins = newPluginHost(f.WASM, state, log)
	defer r.plugins.close()
	p.fits = func(d *delivery) (err error) {
		if d.file, d.set, err = r.load(d); err == nil {
			err = d.set.try(ctx, d.file)
		}
		return err
	}
	if want := p.wanted(f.Model); want.slot != "" {
		service.notify(watchdog.Extend(p.limit(want.bytes) + time.Minute)) // should it be on trial
	}
	r.running, err = p.open(ctx, f.Model, nil)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil // told to stop
	case err != nil:
		return badInput{err}
	}
	defer func() { r.close(r.running) }()
	if f, r.running.set, err = r.load(r.running); err != nil {
		return err
	}
	m, trial := r.running.model, r.running.trial
	ram := planRAM(m, f, r.running.set)
	limit, err := checkRAM(ram, f.Budgets.RAM)
	if err != nil {
		return err
	}
	defer keepWithin(limit, ram)()
	if text := ram.scarce(); text != "" {
		log.print(text)
	}

	socket := o.socket
	if socket == "" {
		socket = f.Socket.Path
	}
	socket = socketPath(socket)
	undo, err := makeFolder(socket)
	defer undo()
	if err != nil {
		return err
	}
	w := &wiring{kinds: new(kinds.Set), file: f, state: state}
	for _, line := range w.rare(m) {
		log.print(line)
	}
	thermometer := thermal.New(thermal.Config{
		Limit: f.Budgets.Celsius, Changed: func(s thermal.State) { log.printf("temperature: %v", s) },
	})
	r.wiring, r.thermal, r.now, r.settling = w, thermometer, f, trial
	r.tell(r.running, trial)
	if err := r.setRoles(f); err != nil {
		return badInput{err}
	}
	c := edge.Config{
		Model: r.running.forScenes(), Trial: trial, Socket: socket, SocketMode: f.Socket.Mode, Version: version(), Log: log.print,
		Serve:    wire.ServeOptions{Role: r.roleOf, StopTimeout: stopTime / 4},
		Journal:  edge.Journal{Dir: filepath.Join(state, logFolder), Mark: filepath.Join(state, logMark), MaxBytes: logSize(f), MaxAge: f.Log.Age, Daily: logDaily(f)},
		Reload:   r.reload,
		Watchdog: &service.watchdog, Problems: service.problems.list, Bundle: func() string { return *r.bundle.Load() },
		Thermal: thermometer,
	}
	for _, s := range f.Scenes {
		scene, err := w.scene(s)
		if err != nil {
			return badInput{err}
		}
		scene.Plugins = r.running.set.of(s.Name)
		c.Scenes = append(c.Scenes, scene)
	}
	d, err := edge.New(c)
	if err != nil {
		return badInput{err}
	}
	r.daemon = d
	if err := d.Start(ctx); err != nil {
		return err
	}
	r.outputs = &outputs{daemon: d, stdout: stdout, log: log}
	defer func() {
		stop()
		err = errors.Join(err, d.Close())
		r.busy.Wait()
		r.outputs.end()
	}()
	if err := r.outputs.set(f.Outputs); err != nil {
		return err
	}
	info := m.Info()
	log.printf("edged %s, process %d: model %s (%s), socket %s, state %s", version(), os.Getpid(), info.Name, info.Backend, socket, state)
	service.run(d)
	r.busy.Go(r.watchFile)
	if trial {
		r.busy.Go(func() {
			r.settle(r.running, nil, nil, nil)
			r.settled()
		})
	}
	for {
		select {
		case <-ctx.Done():
			service.stopping()
			log.print("stopping")
			return nil
		case <-o.again:
			service.notify(watchdog.Reloading())
			r.reload()
			service.notify(watchdog.Ready)
		case err := <-r.failed:
			return err
		}
	}
}

// roles makes what a configuration says of roles.
func roles(configured []config.Role) (func(wire.Peer) wire.Role, error) {
	var grants []wire.Grant
	for _, c := range configured {
		r, err := wire.ParseRole(c.Role)
		if err != nil {
			return nil, fmt.Errorf("socket: %w", err)
		}
		grants = append(grants, wire.Grant{UID: c.UID, GID: c.GID, Role: r})
	}
	return wire.Grants(grants, uint32(os.Getuid())), nil
}

// checkScenes says what keeps a model from watching the scenes.
func checkScenes(m *vlm.Model, f *config.File) error {
	for _, s := range f.Scenes {
		if err := watches(m.Config(), s.Enabled()); err != nil {
			return fmt.Errorf("scene %s: %w", s.Name, err)
		}
		for _, p := range s.Prompts {
			if p.Question == "" {
				continue
			}
			if err := m.CheckQuestion(p.Question); err != nil {
				return fmt.Errorf("scene %s: its prompt cannot be asked: %w", s.Name, err)
			}
		}
	}
	return nil
}

// wiring makes scenes of their configuration. Its cameras share what cameras of a
// process can.
type wiring struct {
	kinds *kinds.Set
	file  *config.File
	state string // folder
}

// with returns the wiring of another configuration, with the same cameras.
func (w *wiring) with(f *config.File) *wiring {
	other := *w
	other.file = f
	return &other
}
