package fw

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"syscall"

	"github.com/visualrwkv/edged/internal/disk"
)

// Installed is what is to run.
type Installed struct {
	Slot     string
	Manifest *Manifest
	Trial    bool // it has to prove itself: [Store.Commit] or [Store.Rollback]

	t *Store
}

// Path returns where a file of it is.
func (i *Installed) Path(f *File) string { return i.t.path(i.Slot, f.Name) }

// Start says what is to run, and must be called once for each start, before
// anything of it is used. nil is what the binary brings. crash is why the run of edged before this one ended by itself,
// "" where it did not: it was told to stop or killed, or the power failed. A slot on trial that was started then is given up; so is
// one that was started [MaxStarts] times or stopped [MaxStops] times, or that is not whole. One that the disk does not let it read stays on trial and is
// not run; nor is one of which not all was read before ctx ended: that start does not count, see [Store.Stop].
// err tells what went wrong, and what is returned can run all the same.
func (t *Store) Start(ctx context.Context, crash string) (i *Installed, err error) {
	if t.s.Trial != "" {
		i, err := t.try(ctx, crash)
		if i != nil {
			return i, nil
		}
		j, err2 := t.Active()
		return j, errors.Join(err, err2)
	}
	return t.Active()
}

// try starts what is on trial, or gives it up.
func (t *Store) try(ctx context.Context, crash string) (*Installed, error) {
	name, slot := t.s.Trial, *t.s.slot(t.s.Trial)
	switch {
	case t.s.Starts > 0 && crash != "":
		return nil, t.told("edged ended while it was tried: " + crash)
	case t.s.Starts >= MaxStarts:
		return nil, t.told(fmt.Sprintf("it was started %d times and did not prove itself", t.s.Starts))
	case t.s.Stops >= MaxStops:
		return nil, t.told(fmt.Sprintf("edged was told to stop %d times before it had proved itself", t.s.Stops))
	}
	next := t.s
	next.Starts++
	next.slot(name).Phase = PhaseTrying
	if err := t.write(next); err != nil {
		// Without a count it might be tried for ever.
		return nil, fmt.Errorf("%s is not tried: %w", slot, err)
	}
	i, err := t.open(name)
	if err == nil {
		err = i.check(ctx)
	}
	switch {
	case err == nil:
		i.Trial = true
		return i, nil
	case ctx.Err() != nil:
		return nil, t.Stop()
	case unread(err):
		return nil, fmt.Errorf("%s cannot be read and is tried again at the next start: %w", slot, err)
	}
	return nil, t.told(err.Error())
}

// unread reports whether err is of the system, which may let a file be read another time, and
// not about what the file is.
func unread(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok && !errors.Is(err, fs.ErrNotExist)
}

// Stop ends a start of what is on trial that neither proved itself nor failed, since edged was told to
// stop: it is counted among Stops instead. Without a trial that was started it changes nothing.
func (t *Store) Stop() error {
	if t.s.Trial == "" || t.s.Starts == 0 {
		return nil
	}
	next := t.s
	next.Starts--
	next.Stops++
	return t.write(next)
}

// told gives up what is on trial, and says so.
func (t *Store) told(why string) error {
	slot := *t.s.slot(t.s.Trial)
	return errors.Join(fmt.Errorf("%s is given up: %s", slot, why), t.giveUp(why))
}

// giveUp marks what is on trial as bad.
func (t *Store) giveUp(why string) error {
	next := t.s
	slot := next.slot(next.Trial)
	slot.Phase, slot.Why = PhaseBad, why
	next.endTrial()
	return t.write(next)
}

// Active opens what runs, without what is on trial; where that is damaged, the other
// slot if it was good. It changes nothing.
func (t *Store) Active() (*Installed, error) {
	if t.s.Active == "" {
		return nil, nil
	}
	i, err := t.open(t.s.Active)
	if err == nil {
		return i, nil
	}
	err = fmt.Errorf("slot %s, %s: %w", t.s.Active, t.s.slot(t.s.Active), err)
	if other := t.s.spare(); t.s.slot(other).Phase == PhaseGood {
		if i, err2 := t.open(other); err2 == nil {
			return i, fmt.Errorf("%w; %s runs instead", err, t.s.slot(other))
		}
	}
	return nil, fmt.Errorf("%w; what the binary brings runs instead", err)
}

// open reads a slot's manifest, which must be the one that was installed, and sees
// that its files are there.
func (t *Store) open(name string) (*Installed, error) {
	raw, size, err := disk.Read(t.fsys, t.path(name, manifestName), MaxManifest)
	if err != nil {
		return nil, err
	}
	if size > MaxManifest || Hash(sha256.Sum256(raw)) != t.s.slot(name).Manifest {
		return nil, errors.New("its manifest is not the one that was installed")
	}
	m, err := ParseManifest(raw)
	if err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		r, err := t.fsys.Open(t.path(name, f.Name))
		if err != nil {
			return nil, err
		}
		size, err := r.Size()
		r.Close()
		if err != nil {
			return nil, err
		}
		if size != f.Size {
			return nil, fmt.Errorf("%s has %d bytes instead of %d", f.Name, size, f.Size)
		}
	}
	return &Installed{Slot: name, Manifest: m, t: t}, nil
}

// check reads all files and compares them with the manifest, until ctx ends.
func (i *Installed) check(ctx context.Context) error {
	for n := range i.Manifest.Files {
		f := &i.Manifest.Files[n]
		sum, err := i.t.sum(ctx, i.Path(f))
		if err != nil {
			return err
		}
		if sum != f.Sum {
			return fmt.Errorf("%s is not what was installed", f.Name)
		}
	}
	return nil
}

// sum reads a file, until ctx ends.
func (t *Store) sum(ctx context.Context, path string) (sum Hash, err error) {
	r, err := t.fsys.Open(path)
	if err != nil {
		return sum, err
	}
	defer r.Close()
	h := sha256.New()
	_, err = io.Copy(h, whileReader{ctx, r})
	return Hash(h.Sum(nil)), err
}

// whileReader reads until ctx ends.
type whileReader struct {
	ctx context.Context
	r   io.Reader
}

func (w whileReader) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}

// Commit makes what is on trial what runs. The slot that ran before stays as it
// is, to go back to. From now on the keys are trusted that the bundle has brought.
func (t *Store) Commit() error {
	if t.s.Trial == "" {
		return errors.New("nothing is being tried")
	}
	next := t.s
	slot := next.slot(next.Trial)
	if slot.Phase != PhaseTrying {
		return fmt.Errorf("%s has not been started yet: \"edged run\" does that at its next start or reload", slot)
	}
	i, err := t.open(next.Trial)
	if err != nil {
		return fmt.Errorf("%s: %w", slot, err)
	}
	if len(i.Manifest.Keys) > 0 {
		next.Keys = i.Manifest.Keys
	}
	slot.Phase = PhaseGood
	next.Active = next.Trial
	next.endTrial()
	next.Highest = maps.Clone(next.Highest)
	if next.Highest == nil {
		next.Highest = map[string]uint64{}
	}
	if len(next.Highest) == maxNames {
		clear(next.Highest) // of names that come and go; the present one counts
	}
	next.Highest[slot.Name] = max(next.Highest[slot.Name], slot.Version)
	return t.write(next)
}

// Rollback gives up what is on trial; when nothing is, it goes back to the slot
// that ran before, or to what the binary brings.
func (t *Store) Rollback(why string) error {
	if t.s.Trial != "" {
		return t.giveUp(why)
	}
	if t.s.Active == "" {
		return errors.New("nothing is installed")
	}
	next := t.s
	slot := next.slot(next.Active)
	slot.Phase, slot.Why = PhaseBad, why
	next.Active = next.spare()
	if next.slot(next.Active).Phase != PhaseGood {
		next.Active = ""
	}
	return t.write(next)
}

// Manifest returns what a slot holds, nil when it is not whole.
func (t *Store) Manifest(slot string) *Manifest {
	switch t.s.slot(slot).Phase {
	case PhaseEmpty, PhaseInstalling:
		return nil
	}
	i, err := t.open(slot)
	if err != nil {
		return nil
	}
	return i.Manifest
}
