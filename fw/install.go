package fw

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/visualrwkv/edged/internal/disk"
)

// InstallOptions are what whoever installs a bundle may ask for.
type InstallOptions struct {
	Edged     string // version of this program
	Downgrade bool   // a version that is not higher than those before is fine
	Rename    bool   // so is another name than what runs
	// Progress is called with the bytes of files that are installed, of all of them.
	Progress func(done, total int64)
}

// ErrInstalled is why nothing is installed: it is there.
var ErrInstalled = errors.New("this bundle is installed already")

// Install puts the files of a bundle into the slot that does not run, and has the
// next start try it. What runs is not touched. An installation that is
// interrupted is no harm; when it is begun again with the same bundle it goes on
// where it was.
func (t *Store) Install(b *Bundle, o *InstallOptions) error {
	m := b.Manifest
	if err := m.checkEdged(o.Edged); err != nil {
		return err
	}
	sum := Hash(sha256.Sum256(b.Raw))
	if err := t.allowed(m, sum, o); err != nil {
		return err
	}
	name := t.s.spare()
	next := t.s
	next.Trial, next.Starts = "", 0
	*next.slot(name) = Slot{Phase: PhaseInstalling, Name: m.Name, Version: m.Version, Manifest: sum}
	if err := t.write(next); err != nil {
		return err
	}
	if err := t.fill(name, b, o); err != nil {
		return err
	}
	next = t.s
	next.slot(name).Phase = PhaseReady
	next.Trial, next.Starts = name, 0
	return t.write(next)
}

// allowed says why a bundle must not be installed.
func (t *Store) allowed(m *Manifest, sum Hash, o *InstallOptions) error {
	if t.s.Active != "" {
		now := t.s.slot(t.s.Active)
		if now.Manifest == sum {
			return ErrInstalled
		}
		if now.Name != m.Name && !o.Rename {
			return fmt.Errorf("bundle %s is to replace %s, which is another name", m.Name, now.Name)
		}
	}
	if t.s.Trial != "" && t.s.slot(t.s.Trial).Manifest == sum {
		return ErrInstalled
	}
	if spare := t.s.slot(t.s.spare()); spare.Phase == PhaseBad && spare.Manifest == sum && !o.Downgrade {
		return fmt.Errorf("%s version %d was tried here and given up (%s)", m.Name, m.Version, spare.Why)
	}
	if high := t.s.Highest[m.Name]; m.Version <= high && !o.Downgrade {
		return fmt.Errorf("%s version %d is not higher than version %d, which has run here", m.Name, m.Version, high)
	}
	return nil
}

// fill writes the files of the bundle to a slot, and returns when they would
// survive a power cut.
func (t *Store) fill(slot string, b *Bundle, o *InstallOptions) error {
	dir := filepath.Join(t.dir, slot)
	if err := t.fsys.MkdirAll(dir); err != nil {
		return err
	}
	if err := t.sweep(dir, b.Manifest); err != nil {
		return err
	}
	total, done := b.Manifest.Bytes(), int64(0)
	for {
		f, err := b.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := t.file(t.path(slot, f.Name), b, f, func(n int64) {
			if o.Progress != nil {
				o.Progress(done+n, total)
			}
		}); err != nil {
			return err
		}
		done += f.Size
	}
	// Last, so that a folder without them is not whole either.
	for name, data := range map[string][]byte{manifestName: b.Raw, signatureName: b.Sig} {
		if err := disk.Replace(t.fsys, t.path(slot, name), data); err != nil {
			return err
		}
	}
	return t.fsys.SyncDir(dir)
}

// sweep removes what the bundle does not have.
func (t *Store) sweep(dir string, m *Manifest) error {
	names, err := t.fsys.Names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == name }) {
			continue
		}
		if err := t.fsys.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// file writes one file, behind those of its chunks that are there.
func (t *Store) file(path string, b *Bundle, f *File, progress func(int64)) (err error) {
	have := 0
	if r, err := t.fsys.Open(path); err == nil {
		have = f.Have(r)
		r.Close()
	}
	var w disk.File
	at := min(int64(have)*ChunkSize, f.Size)
	if have > 0 {
		if err := b.Skip(have); err != nil {
			return err
		}
		w, err = t.fsys.Resume(path, at)
	} else {
		w, err = t.fsys.Create(path)
	}
	if err != nil {
		return err
	}
	_, err = b.Copy(&counted{w, at, progress})
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

// counted tells how much was written.
type counted struct {
	w        io.Writer
	n        int64
	progress func(int64)
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.progress(c.n)
	return n, err
}
