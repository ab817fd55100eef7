//go:build amd64 || arm64

package diskcalls

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const folder = "EDGED_DISKCALLS_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(folder); dir != "" {
		if err := errors.Join(Enter(), change(dir)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// change is what the process that is watched does.
func change(dir string) error {
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(sub, "a"))
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("at three"), 3)
	_, err2 := f.Write([]byte("here"))
	if err := errors.Join(err, err2, f.Truncate(20), f.Sync(), unix.Fdatasync(int(f.Fd())), f.Close()); err != nil {
		return err
	}
	fmt.Println("renaming")
	if err := os.Rename(f.Name(), filepath.Join(dir, "b")); !errors.Is(err, unix.EIO) {
		return fmt.Errorf("rename: %v", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, "b")); err != nil {
		return err
	}
	if text, err := os.ReadFile(filepath.Join(dir, "b")); err != nil || !bytes.Equal(text, append([]byte("heret three"), make([]byte, 9)...)) {
		return fmt.Errorf("%q, %v", text, err)
	}
	return os.Remove(filepath.Join(dir, "b"))
}

func TestWatch(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	dir := t.TempDir()
	var got []string
	failed := false
	var out bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), folder+"="+dir)
	cmd.Stdout = &out
	w, err := Watch(cmd, dir, func(c Call) unix.Errno {
		name := func(p string) string { return strings.TrimPrefix(p, dir) }
		if c.Op == Print {
			c.Path = dir
		}
		got = append(got, fmt.Sprintf("%s %s %s %d %s", c.Op, name(c.Path), name(c.To), c.At, c.Data))
		if c.Op == Rename && !failed {
			failed = true
			return unix.EIO
		}
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, &out)
	}
	if err := w.Wait(); errors.Is(err, unix.ENOSYS) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"mkdir /sub  -1 ", "open /sub/a  -1 ", "write /sub/a  3 at three", "write /sub/a  -1 here", "truncate /sub/a  20 ",
		"sync /sub/a  -1 ", "sync /sub/a  -1 ", "print   -1 renaming\n", "rename /sub/a /b -1 ", "rename /sub/a /b -1 ", "remove /b  -1 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("seen:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
