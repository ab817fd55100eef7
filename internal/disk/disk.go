// Package disk replaces files so that they are whole whatever happens, and is
// the seam at which tests let a disk fail, fill up and lose power.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
)

// FS is what of a file system a store needs. Paths are the system's.
type FS interface {
	// MkdirAll makes a folder and those above it so that they survive a power cut.
	MkdirAll(dir string) error
	// Names lists the files of dir in the order of their names, folders left out.
	Names(dir string) ([]string, error)
	Open(path string) (File, error)
	// Create makes an empty file, in the place of one of that name.
	Create(path string) (File, error)
	// Resume opens a file to be written on behind its first size bytes, which it has;
	// what follows them is lost.
	Resume(path string, size int64) (File, error)
	// Rename replaces to, at once for whoever looks.
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir returns when the names in dir would survive a power cut. What
	// Sync of a file promises is its bytes only.
	SyncDir(dir string) error
	// Free is how many bytes can be written to the disk of dir, which need not be there.
	Free(dir string) (int64, error)
}

// File is an open file of an [FS].
type File interface {
	io.ReadWriteCloser
	Size() (int64, error)
	Sync() error
}

// Temp ends the name of a file that [Replace] has not finished. Who finds one
// may remove it.
const Temp = ".tmp"

// Replace writes parts one after another as the file at path. When it returns
// nil the file survives a power cut; whenever that comes, path is what it was or
// all of the parts.
func Replace(fsys FS, path string, parts ...[]byte) error {
	temp := path + Temp
	err := write(fsys, temp, parts)
	if err == nil {
		err = fsys.Rename(temp, path)
	}
	if err != nil {
		fsys.Remove(temp) // fails where it was not created
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

func write(fsys FS, path string, parts [][]byte) error {
	f, err := fsys.Create(path)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, err = f.Write(p); err != nil {
			break
		}
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Read returns a file's first n bytes, all of them when it is shorter, and its
// size.
func Read(fsys FS, path string, n int64) (data []byte, size int64, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if size, err = f.Size(); err != nil {
		return nil, 0, err
	}
	data = make([]byte, min(n, size))
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return data, size, nil
}

// OS is the system's file system. What it creates is its user's alone.
var OS FS = system{}

type system struct{}

type systemFile struct{ *os.File }

func (f systemFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (d system) MkdirAll(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := d.MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

func (system) Names(dir string) ([]string, error) {
	all, err := os.ReadDir(dir)
	var names []string
	for _, e := range all {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (system) Open(path string) (File, error) {
	f, err := os.Open(path)
	return systemFile{f}, err
}

func (system) Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	return systemFile{f}, err
}

func (system) Resume(path string, size int64) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(size); err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return systemFile{f}, nil
}

func (system) Rename(from, to string) error { return os.Rename(from, to) }
func (system) Remove(path string) error     { return os.Remove(path) }

func (system) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems cannot sync a folder and say EINVAL; they have nothing
	// better to offer.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

func (system) Free(dir string) (int64, error) {
	for {
		var s syscall.Statfs_t
		err := syscall.Statfs(dir, &s)
		parent := filepath.Dir(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && parent != dir:
			dir = parent
		case err != nil:
			return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
		case s.Blocks == 0: // some file systems do not tell
			return math.MaxInt64, nil
		default:
			return int64(min(s.Bavail, math.MaxInt64/uint64(s.Bsize)) * uint64(s.Bsize)), nil
		}
	}
}

// Reason says in a few words why the disk refused, for people.
func Reason(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full"
	case errors.Is(err, syscall.EROFS):
		return "the disk is read-only"
	case errors.Is(err, syscall.EIO):
		return "the disk fails"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	}
	return err.Error()
}
