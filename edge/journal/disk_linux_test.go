package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 2 MiB, or skips the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("edged", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skip("a small disk cannot be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fails waits until a record cannot be saved.
func fails(t *testing.T, j *Journal, why string) {
	t.Helper()
	for i := 0; ; i++ {
		j.Append(caption(i))
		if err := j.Sync(t.Context()); err != nil {
			if !strings.Contains(err.Error(), why) || j.Status().Error != err.Error() {
				t.Errorf("%v, %+v", err, j.Status())
			}
			return
		}
	}
}

// finds waits until as many records are found: between two attempts at a disk nothing is
// open.
func finds(t *testing.T, j *Journal, want int) {
	t.Helper()
	n := 0
	for range 60_000 {
		n = 0
		for r, err := range j.Search(t.Context(), Query{}) {
			if err == nil && r != nil {
				n++
			}
		}
		if n == want {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d records are found, want %d", n, want)
}

// recovers waits until everything is saved.
func recovers(t *testing.T, j *Journal) {
	t.Helper()
	for j.Sync(t.Context()) != nil {
		time.Sleep(time.Millisecond)
	}
	if s := j.Status(); s.Error != "" || s.Pending != 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	all := find(t, j, Query{})
	if uint64(len(all)) != all[len(all)-1]-all[0]+1 || all[len(all)-1] != j.Next()-1 {
		t.Errorf("%d records, %d to %d, next %d", len(all), all[0], all[len(all)-1], j.Next())
	}
}

// TestDiskFull: records wait in memory and are found there, and are written when
// there is room again.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t)
	var said reports
	j := open(t, filepath.Join(disk, "log"), &Options{Report: said.add})
	defer closed(t, j)
	for i := range 100 {
		j.Append(caption(i))
	}
	save(t, j)
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	fails(t, j, "no space left")
	for i := range 3000 {
		j.Append(caption(i))
	}
	finds(t, j, int(j.Next()-1))
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	recovers(t, j)
	said.await(t, "failing working")

	// Full from the start.
	fill(t, filler)
	other := filepath.Join(disk, "other")
	k := open(t, other, nil)
	defer closed(t, k)
	if seq := k.Append(caption(0)); seq > 1 {
		t.Errorf("%d is first", seq)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	recovers(t, k)
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// TestDiskReadOnly: what is there can be read, and numbers go on.
func TestDiskReadOnly(t *testing.T) {
	disk := smallDisk(t)
	j := open(t, disk, nil)
	for i := range 100 {
		j.Append(caption(i))
	}
	closed(t, j)
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("edged", disk, "tmpfs", unix.MS_REMOUNT|flags, "size=2m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	var said reports
	j = open(t, disk, &Options{Report: said.add})
	defer func() { closed(t, j) }()
	fails(t, j, "read-only")
	finds(t, j, 101)
	if next := j.Next(); next != 102 {
		t.Errorf("%d is next", next)
	}
	remount(0)
	recovers(t, j)
	said.await(t, "failing working")
}

// TestDiskGone: a descriptor that became useless, as of a stick that was pulled, is
// replaced.
func TestDiskGone(t *testing.T) {
	var said reports
	j := open(t, t.TempDir(), &Options{Report: said.add})
	defer closed(t, j)
	j.Append(caption(0))
	save(t, j)
	j.store.file.Close()
	j.Append(caption(1))
	recovers(t, j)
	said.await(t, "failing working")
}

// TestLost: what memory cannot hold is given up, the oldest first, and said.
func TestLost(t *testing.T) {
	disk := smallDisk(t)
	var said reports
	j := open(t, disk, &Options{Report: said.add})
	defer closed(t, j)
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	fails(t, j, "no space")
	large := &Record{Text: strings.Repeat("x", 30<<10)}
	n := uint64(0)
	for range 2 * maxPending / (30 << 10) {
		n = j.Append(large)
	}
	s := j.Status()
	if s.Lost == 0 || uint64(s.Pending)+s.Lost < 500 || s.Error == "" {
		t.Errorf("%+v", s)
	}
	if err := unix.Mount("edged", disk, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	for j.Sync(t.Context()) != nil {
		time.Sleep(time.Millisecond)
	}
	if got := find(t, j, Query{From: n - 200}); len(got) != 201 {
		t.Errorf("%d of the newest 201", len(got))
	}
	for !strings.HasSuffix(said.kinds(), "lost") {
		time.Sleep(time.Millisecond)
	}
	t.Log(said.said)
}
