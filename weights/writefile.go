package weights

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/visualrwkv/edged/internal/disk"
)

// WriteFile replaces the file at path by what write produces, or leaves it as
// it was. Readers, and the machine after a power cut, see the old file or the
// new one, never a part: the data goes to a temporary file in the same folder,
// reaches the disk, takes the name, and then the folder reaches the disk.
// Programs that have the old file mapped keep it.
//
// Where the system allows, the temporary file has no name before it is complete, so that
// nothing of it is left when the process is killed.
func WriteFile(path string, write func(io.Writer) error) error {
	return writeFile(path, openUnnamed, write)
}

func writeFile(path string, unnamed func(dir string) (*os.File, error), write func(io.Writer) error) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, name, err := createTemp(dir, base, unnamed)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close() // an error only if closed already
			if name != "" {
				os.Remove(name)
			}
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if name == "" {
		if name, err = nameTemp(f, dir, base); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(name, path); err != nil {
		return err
	}
	return disk.OS.SyncDir(dir)
}

// createTemp is os.CreateTemp with the permissions of a new ordinary file,
// which only the umask of the process narrows. The file may have no name yet.
func createTemp(dir, base string, unnamed func(dir string) (*os.File, error)) (f *os.File, name string, err error) {
	if f, err := unnamed(dir); err == nil {
		return f, "", nil
	}
	name, err = freeName(dir, base, func(name string) error {
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	})
	return f, name, err
}

// nameTemp gives a file a name that is to be renamed.
func nameTemp(f *os.File, dir, base string) (string, error) {
	return freeName(dir, base, func(name string) error { return linkUnnamed(f, name) })
}

// freeName returns a temporary name for which take succeeds.
func freeName(dir, base string, take func(name string) error) (string, error) {
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()))
		err := take(name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrExist) || try == 100 {
			return "", err
		}
	}
}
