package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"strings"
	"time"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/vlm"
)

// origin says where a model is from; the zero one is that of the binary.
type origin struct {
	path     string  // of a file that the configuration names
	id       fileID  // of that
	slot     string  // of a bundle
	manifest fw.Hash // of the bundle
}

// delivery is what edged runs: a model, and what came with it.
type delivery struct {
	origin
	sample   [sha256.Size]byte // of a file that the configuration names
	what     string            // for people
	weights  string            // file of the model; empty: it is in the binary
	bytes    int64             // of that
	says     string            // file of defaults; empty: none
	trial    bool              // of a bundle that is committed once it has proved itself
	model    *vlm.Model
	defaults *config.Defaults // nil: those of edged
	file     *config.File     // the configuration with them, once it is known to fit
	brings   string           // what of it they say, for people
	plugins  []pluginSpec     // that a bundle brings
	set      pluginSet        // those that run, with file
}

// forScenes is the model as scenes use it.
func (d *delivery) forScenes() edge.Model {
	m := watching{Model: edge.VLM(d.model), from: d.what}
	if d.slot == "" {
		m.least = gateState(d.path)
	} else if d.weights != "" {
		m.from += ": " + filepath.Base(d.weights)
	}
	info := d.model.Info()
	m.from += fmt.Sprintf(", %s, %.1f MB", strings.ToLower(info.Type), float64(info.FileBytes)/1e6)
	return m
}

// watching is a model of which it is known where it is from, and how much its image state changes.
type watching struct {
	edge.Model
	from  string
	least float64
}

func (m watching) Origin() string       { return m.from }
func (m watching) StateChange() float64 { return m.least }

// healthLimit is how long a model on trial may take to be opened and to caption two frame sets of a simulated room,
// and then once more for a caption of what cameras see: a minute more for each 256 MiB of its file.
func healthLimit(bytes int64) time.Duration {
	return 2*time.Minute + time.Duration(bytes>>20)*time.Minute/256
}

// letGo is how long what is on trial may go on when its time is over, before it is left alone.
const letGo = 5 * time.Second

// depot opens what is to run: the model that the configuration names, else that of the bundle that is
// installed, else the binary's.
type depot struct {
	state   string // folder
	options *vlm.Options
	log     *runLog
	limit   func(bytes int64) time.Duration // see healthLimit
	fits    func(*delivery) error           // sets file and set, or says why scenes cannot be watched with it
	crash   string                          // why the run before ended by itself, until the slots have been told; empty: it did not
}

// wanted says what is to run, as far as that can be known without trying it: nothing is changed, and nobody
// waited for, since the state of the slots is replaced as a whole.
func (p *depot) wanted(configured string) *delivery {
	if configured != "" || !hasSlots(p.state) {
		return p.plain(configured)
	}
	s, err := lookAtStore(p.state)
	slot := cmp.Or(s.State().Trial, s.State().Active)
	if err != nil || slot == "" {
		return p.plain("")
	}
	d := &delivery{origin: originOf(s, slot)}
	if m := s.Manifest(slot); m != nil {
		d.describe(m, func(f *fw.File) string { return filepath.Join(slotsPath(p.state), slot, f.Name) })
	}
	return d
}

// plain is a model that no bundle has brought.
func (p *depot) plain(path string) *delivery {
	id := identify(path)
	return &delivery{origin: origin{path: path, id: id}, what: cmp.Or(path, "the model of the binary"), weights: path, bytes: id.size}
}

func originOf(s *fw.Store, slot string) origin {
	o := origin{slot: slot, manifest: s.State().A.Manifest}
	if slot == "b" {
		o.manifest = s.State().B.Manifest
	}
	return o
}

// describe says what a bundle has, whose files are at path.
func (d *delivery) describe(m *fw.Manifest, path func(*fw.File) string) {
	d.what = fmt.Sprintf("%s version %d, slot %s", m.Name, m.Version, d.slot)
	for _, f := range m.Find(fw.RoleModel) {
		d.weights, d.bytes = path(f), f.Size
	}
	for _, f := range m.Find(fw.RoleDefaults) {
		d.says = path(f)
	}
	d.plugins = bundledPlugins(m, path)
}

// open opens what is to run. Of a bundle on trial the model has to caption a simulated room in
// time; one that does not is given up, and what is to run then is opened. Beside running, which is not nil while a daemon
// runs, every model has to; it is returned when it is to go on.
func (p *depot) open(ctx context.Context, configured string, running *delivery) (*delivery, error) {
	d, err := p.next(ctx, configured)
	if err != nil {
		return nil, err
	}
	return p.openFrom(ctx, d, running)
}

// openFrom opens d, or where that does not work what is to run instead, as open does.
func (p *depot) openFrom(ctx context.Context, d *delivery, running *delivery) (*delivery, error) {
	var err error
	for err == nil {
		if running != nil && d.origin == running.origin {
			return running, nil
		}
		err = p.load(ctx, d, running != nil)
		switch {
		case err == nil && d.slot != "" && !d.trial:
			p.log.printf("bundle: %s", d.what)
			return d, nil
		case err == nil:
			return d, nil
		case ctx.Err() != nil:
			p.stopped(d)
			return nil, ctx.Err()
		case d.slot == "":
			return nil, err
		case d.trial && p.giveUp(d, err):
			d, err = p.next(ctx, "")
		case d.trial && running != nil:
			return running, nil
		case d.trial:
			d, err = p.active(), nil
		default: // whole when it was tried: this machine has changed
			p.log.printf("bundle: %s: %v; what the binary brings runs instead", d.what, err)
			d, err = p.plain(""), nil
		}
	}
	return nil, err
}

// next says what is to be opened. Of what is on trial all files are read, which takes a while and ends when ctx does.
func (p *depot) next(ctx context.Context, configured string) (*delivery, error) {
	found := make(chan *delivery, 1)
	go func() { found <- p.chosen(ctx, configured) }()
	select {
	case d := <-found:
		return d, nil
	case <-ctx.Done():
	}
	// Where the disk does not hang the start does not count; nobody waits for one that does.
	select {
	case d := <-found:
		p.stopped(d)
	case <-time.After(storePatience):
	}
	return nil, ctx.Err()
}

func (p *depot) chosen(ctx context.Context, configured string) *delivery {
	if configured == "" && hasSlots(p.state) {
		return p.installed(p.start(ctx))
	}
	return p.plain(configured)
}

// active is what runs without what is on trial: where a trial cannot be ended, and what is in the slots would be
// tried once more.
func (p *depot) active() *delivery { return p.installed(p.look()) }

// installed is what a bundle has brought, or what the binary brings when i is nil.
func (p *depot) installed(o origin, i *fw.Installed) *delivery {
	if i == nil {
		return p.plain("")
	}
	d := &delivery{origin: o, trial: i.Trial}
	d.describe(i.Manifest, i.Path)
	return d
}

// start says what is to run of what is installed, nil for what the binary brings. While a bundle is being installed, or
// where the disk cannot be written to, nothing is tried: then what runs is only read.
func (p *depot) start(ctx context.Context) (o origin, i *fw.Installed) {
	var damaged error
	opened := false
	err := withStore(p.state, func(s *fw.Store, d error) (err error) {
		opened, damaged = true, d
		if i, err = s.Start(ctx, p.crash); i != nil {
			o = originOf(s, i.Slot)
		}
		p.crash = ""
		return err
	})
	if !opened {
		if !errors.Is(err, errSlotsBusy) {
			p.trouble(err)
		}
		return p.look()
	}
	p.trouble(damaged, err)
	return o, i
}

// look says what runs of what is installed without what is on trial, nil for what the binary brings, and
// changes nothing.
func (p *depot) look() (o origin, i *fw.Installed) {
	s, damaged := lookAtStore(p.state)
	i, err := s.Active()
	if i != nil {
		o = originOf(s, i.Slot)
	}
	p.trouble(damaged, err)
	return o, i
}

// trouble tells what is wrong with the slots.
func (p *depot) trouble(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		p.log.printf("bundle: %v", err)
	}
}

// load opens a delivery. One that has to prove itself does so, in time: what hangs is left alone.
func (p *depot) load(ctx context.Context, d *delivery, beside bool) error {
	if !d.trial && !beside {
		return p.fill(ctx, d, false)
	}
	p.log.printf("%s is tried", d.what)
	limit := p.limit(d.bytes)
	trying, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	try, done := *d, make(chan error, 1)
	go func() { done <- p.fill(trying, &try, true) }()
	var err error
	select {
	case err = <-done:
	case <-trying.Done():
		select {
		case err = <-done:
		case <-time.After(letGo):
			p.log.printf("%s hangs; what it has of the memory stays its own until edged is started again", d.what)
			err = trying.Err()
		}
	}
	if err == nil {
		*d = try
		return nil
	}
	if ctx.Err() == nil && trying.Err() != nil {
		return fmt.Errorf("it did not caption a simulated room within %v", limit)
	}
	return err
}

// fill opens the files of a delivery, and with prove has its model prove itself.
func (p *depot) fill(ctx context.Context, d *delivery, prove bool) (err error) {
	if d.says != "" {
		if d.defaults, err = config.LoadDefaults(d.says); err != nil {
			return fmt.Errorf("its defaults: %w", err)
		}
	}
	if d.model, err = openModel(d.weights, p.options); err != nil {
		return err
	}
	if d.id != (fileID{}) {
		d.sample, err = sample(d.path, d.id.size)
	}
	if prove && err == nil {
		err = p.fits(d)
	}
	if prove && err == nil {
		err = smoke(ctx, d.model)
	}
	if err != nil {
		d.model.Close()
	}
	return err
}

// stopped takes the start of a trial back that had not come to an end when edged was told to stop.
func (p *depot) stopped(d *delivery) {
	if d.trial {
		p.settle(d, (*fw.Store).Stop, "was not tried to the end, since edged is to stop: that is not among its starts")
	}
}

// giveUp ends a trial, and reports whether it has ended.
func (p *depot) giveUp(d *delivery, why error) bool {
	return p.settle(d, func(s *fw.Store) error { return s.Rollback(why.Error()) }, fmt.Sprintf("is given up: %v", why))
}

// commit ends a trial well.
func (p *depot) commit(d *delivery) bool { return p.settle(d, (*fw.Store).Commit, "proved itself") }

func (p *depot) settle(d *delivery, do func(*fw.Store) error, did string) bool {
	ours := true
	err := withStore(p.state, func(s *fw.Store, damaged error) error {
		if damaged != nil {
			return damaged
		}
		if slot := s.State().Trial; slot == "" || originOf(s, slot) != d.origin {
			ours = false // Rollback would now be about another one
			return nil
		}
		return do(s)
	})
	if err == nil && !ours {
		p.log.printf("bundle: %s %s; somebody had ended the trial before", d.what, did)
		return true
	}
	if err != nil {
		p.log.printf("bundle: %s %s, and that cannot be kept: %v", d.what, did, err)
		return false
	}
	p.log.printf("bundle: %s %s", d.what, did)
	return true
}

// smoke shows a model two frame sets of a simulated room and has it caption them: whatever
// it says, it can be done on this machine.
func smoke(ctx context.Context, m *vlm.Model) error {
	s, err := m.NewStream()
	if err != nil {
		return err
	}
	views := max(1, min(2, m.Config().MaxViews()))
	world := sim.NewWorld(sim.Config{Seed: 1, Views: views})
	room := sim.NewRenderer(world.Look(), world.Cameras(), 320, 240)
	for frame := range uint64(2) {
		var pictures []image.Image
		for i := range world.Cameras() {
			img := image.NewRGBA(image.Rect(0, 0, 320, 240))
			room.Render(img, i, world.Objects(nil), frame)
			pictures = append(pictures, img)
		}
		text, err := s.Caption(ctx, pictures...)
		if err != nil {
			return fmt.Errorf("a caption of a simulated room: %w", err)
		}
		if text == "" {
			return errors.New("its caption of a simulated room is empty")
		}
		world.Step()
	}
	return nil
}
