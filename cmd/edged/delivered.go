package main

import (
	"context"
	"errors"
	"fmt"
	"image"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/disk"
	"github.com/visualrwkv/edged/vlm"
)

// openDelivered opens the model that is to run: the one that the configuration names, else
// that of the bundle that is installed, else the binary's. A bundle on trial that does not
// prove itself is given up, and what ran before runs. proved is to be called once all runs.
func openDelivered(ctx context.Context, configured, state string, o *vlm.Options, log *runLog) (m *vlm.Model, proved func(), err error) {
	proved = func() {}
	if configured != "" || !hasSlots(state) {
		m, err = openModel(configured, o)
		return m, proved, err
	}
	for {
		i, err := startInstalled(state)
		if err != nil {
			log.printf("bundle: %v", err)
		}
		if i == nil {
			m, err := openModel("", o)
			return m, proved, err
		}
		path := ""
		for _, f := range i.Manifest.Find(fw.RoleModel) {
			path = i.Path(f)
		}
		what := fmt.Sprintf("%s version %d, slot %s", i.Manifest.Name, i.Manifest.Version, i.Slot)
		m, err := openModel(path, o)
		if err == nil && i.Trial {
			log.printf("bundle: %s is tried", what)
			if err = smoke(ctx, m); err != nil {
				m.Close()
			}
		}
		switch {
		case err == nil && !i.Trial:
			log.printf("bundle: %s", what)
			return m, proved, nil
		case err == nil:
			return m, func() { settle(state, what, (*fw.Store).Commit, "proved itself", log) }, nil
		case ctx.Err() != nil:
			return nil, nil, ctx.Err() // told to stop: it will be tried again
		case !i.Trial: // whole when it was tried: this machine has changed
			log.printf("bundle: %s: %v; what the binary brings runs instead", what, err)
			m, err := openModel("", o)
			return m, proved, err
		}
		why := err.Error()
		back := func(s *fw.Store) error { return s.Rollback(why) }
		if !settle(state, what, back, "is given up: "+why, log) {
			m, err := openModel("", o)
			return m, proved, err
		}
	}
}

// startInstalled says what is to run, nil for what the binary brings. err tells what went
// wrong on the way. While a bundle is installed nothing is tried, and what runs is not touched: then its
// slot is only read.
func startInstalled(state string) (i *fw.Installed, err error) {
	var damaged error
	err = withStore(state, func(s *fw.Store, d error) (err error) {
		damaged = d
		i, err = s.Start()
		return err
	})
	if errors.Is(err, errSlotsBusy) {
		var s *fw.Store
		s, damaged = fw.OpenStore(disk.OS, slotsPath(state))
		i, err = s.Active()
	}
	return i, errors.Join(damaged, err)
}

// settle ends a trial, and says so.
func settle(state, what string, do func(*fw.Store) error, did string, log *runLog) bool {
	err := withStore(state, func(s *fw.Store, damaged error) error { return errors.Join(damaged, do(s)) })
	if err != nil {
		log.printf("bundle: %s %s, and that cannot be kept: %v", what, did, err)
		return false
	}
	log.printf("bundle: %s %s", what, did)
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
