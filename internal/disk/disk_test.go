package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestReplace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := OS.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := OS.MkdirAll(dir); err != nil {
		t.Errorf("a second time: %v", err)
	}
	path := filepath.Join(dir, "f")
	for _, parts := range [][][]byte{{[]byte("one"), []byte("two")}, {[]byte("x")}} {
		if err := Replace(OS, path, parts...); err != nil {
			t.Fatal(err)
		}
		want := bytes.Join(parts, nil)
		data, size, err := Read(OS, path, 100)
		if err != nil || !bytes.Equal(data, want) || size != int64(len(want)) {
			t.Errorf("read %q, %d, %v", data, size, err)
		}
		if data, size, err := Read(OS, path, 1); err != nil || len(data) != 1 || size != int64(len(want)) {
			t.Errorf("first byte: %q, %d, %v", data, size, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want the user's alone", info.Mode(), err)
	}
	if names, err := OS.Names(dir); err != nil || !slices.Equal(names, []string{"f"}) {
		t.Errorf("names %v, %v", names, err)
	}
	// A folder in the way: nothing is left behind.
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Replace(OS, filepath.Join(dir, "d"), []byte("y")); err == nil {
		t.Error("a folder was replaced")
	}
	if names, err := OS.Names(dir); err != nil || !slices.Equal(names, []string{"f"}) {
		t.Errorf("names afterwards %v, %v", names, err)
	}
	if err := OS.MkdirAll(filepath.Join(path, "below")); err == nil {
		t.Error("a folder was made below a file")
	}
	if _, _, err := Read(OS, filepath.Join(dir, "none"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestReason(t *testing.T) {
	for err, want := range map[error]string{
		&fs.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC}: "the disk is full",
		syscall.EROFS:      "the disk is read-only",
		syscall.EIO:        "the disk fails",
		syscall.EACCES:     "permission denied",
		errors.New("else"): "else",
	} {
		if got := Reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func TestFree(t *testing.T) {
	dir := t.TempDir()
	there, err := OS.Free(dir)
	if err != nil || there <= 0 {
		t.Fatalf("%d bytes: %v", there, err)
	}
	if _, err := OS.Free(filepath.Join(dir, "not", "there")); err != nil {
		t.Error(err)
	}
}
