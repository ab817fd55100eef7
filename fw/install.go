package fw

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	next, downgrade := t.s, o.Downgrade
	if now := next.slot(next.Active); next.Active != "" && !t.intact(next.Active, sum) {
		// So it is what makes room, not the one that runs instead; and it can be repaired.
		downgrade = downgrade || now.Manifest == sum
		*now = Slot{}
		next.Active = next.spare()
		if _, err := t.open(next.Active); err != nil || next.slot(next.Active).Phase != PhaseGood {
			next.Active = ""
		}
	}
	if err := next.allowed(m, sum, downgrade, o.Rename); err != nil {
		return err
	}
	name := next.spare()
	if err := t.fits(name, b); err != nil {
		return err
	}
	next.endTrial()
	*next.slot(name) = Slot{Phase: PhaseInstalling, Name: m.Name, Version: m.Version, Manifest: sum}
	if err := t.write(next); err != nil {
		return err
	}
	if err := t.fill(name, b, o); err != nil {
		return err
	}
	next = t.s
	next.slot(name).Phase = PhaseReady
	next.Trial = name
	return t.write(next)
}

// intact says whether a slot is whole. Its files are read when it is to be installed again.
func (t *Store) intact(name string, sum Hash) bool {
	i, err := t.open(name)
	return err == nil && (t.s.slot(name).Manifest != sum || i.check(context.Background()) == nil)
}

// allowed says why a bundle must not be installed.
func (s *State) allowed(m *Manifest, sum Hash, downgrade, rename bool) error {
	if s.Active != "" {
		now := s.slot(s.Active)
		if now.Manifest == sum {
			return fmt.Errorf("%s: %w", now, ErrInstalled)
		}
		if now.Name != m.Name && !rename {
			return fmt.Errorf("bundle %s is to replace %s, which is another name; -rename installs it all the same", m.Name, now.Name)
		}
	}
	if s.Trial != "" && s.slot(s.Trial).Manifest == sum {
		return fmt.Errorf("%s: %w", s.slot(s.Trial), ErrInstalled)
	}
	spare := s.slot(s.spare())
	if spare.Phase == PhaseBad && spare.Manifest == sum && !downgrade {
		return fmt.Errorf("%s version %d was tried here and given up (%s); -downgrade has it tried again", m.Name, m.Version, spare.Why)
	}
	if high := s.Highest[m.Name]; m.Version <= high && !downgrade {
		return fmt.Errorf("%s version %d is not higher than version %d, which has run here; -downgrade installs it all the same", m.Name, m.Version, high)
	}
	return nil
}

// fits says whether there is room for the files of a bundle, for which those of the slot make
// some. What others write meanwhile is not foreseen.
func (t *Store) fits(slot string, b *Bundle) error {
	free, err := t.fsys.Free(t.dir)
	if err != nil {
		return err
	}
	dir := filepath.Join(t.dir, slot)
	names, err := t.fsys.Names(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var there int64
	for _, name := range names {
		f, err := t.fsys.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		size, err := f.Size()
		f.Close()
		if err != nil {
			return err
		}
		there += size
	}
	const block = 4 << 10 // what a file may take more than it has
	// The small files are there twice while they are replaced.
	need := int64(2 * (len(b.Raw) + len(b.Sig) + maxState))
	for _, f := range b.Manifest.Files {
		need += f.Size + block
	}
	if need-there > free {
		return fmt.Errorf("%s version %d needs %s, and there is room for %s on the disk of %s, with what slot %s gives back",
			b.Manifest.Name, b.Manifest.Version, megabytes(need), megabytes(free+there), t.dir, slot)
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

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
	// The manifest last, so that a folder without it is not whole either.
	if err := disk.Replace(t.fsys, t.path(slot, signatureName), b.Sig); err != nil {
		return err
	}
	return disk.Replace(t.fsys, t.path(slot, manifestName), b.Raw)
}

// part ends the name of a file that is not whole yet. Names of files do not have it.
const part = "~"

// sweep removes what the bundle does not have.
func (t *Store) sweep(dir string, m *Manifest) error {
	names, err := t.fsys.Names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == name || f.Name+part == name }) {
			continue
		}
		if err := t.fsys.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// file writes one file, if it is not there, behind those of its chunks that are. A file that is
// there under its name may be in use, by a daemon that has not been started again since: it is
// removed, and never changed.
func (t *Store) file(path string, b *Bundle, f *File, progress func(int64)) error {
	if t.has(path, f) {
		progress(f.Size)
		return nil
	}
	if err := t.fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	have := 0
	if r, err := t.fsys.Open(path + part); err == nil {
		have = f.Have(r)
		r.Close()
	}
	var w disk.File
	at := min(int64(have)*ChunkSize, f.Size)
	err := b.Skip(have)
	if err != nil {
		return err
	}
	if have > 0 {
		w, err = t.fsys.Resume(path+part, at)
	} else {
		w, err = t.fsys.Create(path + part)
	}
	if err != nil {
		return err
	}
	_, err = b.Copy(&counted{w, at, progress})
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err := t.fsys.Rename(path+part, path); err != nil {
		return err
	}
	return t.fsys.SyncDir(filepath.Dir(path))
}

// has tells whether a file is there and whole.
func (t *Store) has(path string, f *File) bool {
	r, err := t.fsys.Open(path)
	if err != nil {
		return false
	}
	defer r.Close()
	if size, err := r.Size(); err != nil || size != f.Size {
		return false
	}
	if f.Encoding == "" {
		return f.Have(r) == len(f.Chunks) // the first that differs is the last that is read
	}
	sum, err := t.sum(context.Background(), path)
	return err == nil && sum == f.Sum
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
