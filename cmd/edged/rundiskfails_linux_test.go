//go:build amd64 || arm64

package main

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/diskcalls"
	"github.com/visualrwkv/edged/wire"
)

func init() { beforeMain = diskcalls.Enter }

// TestRunDiskFails has the disk fail in one kind of call after the other, and then in any
// of them now and then: captions go on, the status says why what is not kept is not, and
// when the disk works again so does everything.
func TestRunDiskFails(t *testing.T) {
	needProcess(t)
	t.Parallel()
	dir := t.TempDir()
	var fault atomic.Pointer[func(diskcalls.Op) unix.Errno]
	var watcher *diskcalls.Watcher
	r := runOnDiskBy(t, dir, func(p *process) (err error) {
		watcher, err = diskcalls.Watch(p.Cmd, filepath.Join(dir, "state"), func(c diskcalls.Call) unix.Errno {
			if f := fault.Load(); f != nil && c.Op != diskcalls.Print {
				return (*f)(c.Op)
			}
			return 0
		})
		return err
	})
	heals := func(snapshots int64) {
		t.Helper()
		fault.Store(nil)
		r.until(t, "everything is kept again", saved(snapshots))
	}
	heals(0)
	for _, c := range []struct {
		ops  string
		with unix.Errno
		want string
	}{
		{"sync", unix.EIO, "input/output error"},
		{"write truncate", unix.ENOSPC, "no space left"},
		{"rename remove", unix.EIO, "disk fails"},
		{"open write truncate rename remove mkdir", unix.EROFS, "read-only"},
	} {
		fails := func(op diskcalls.Op) unix.Errno {
			if strings.Contains(c.ops, string(op)) {
				return c.with
			}
			return 0
		}
		fault.Store(&fails)
		r.until(t, c.ops+" fail", func(_ *wire.Status, all string) bool { return strings.Contains(all, c.want) })
		heals(0)
	}
	now := rand.New(rand.NewPCG(8, 9)) // called by one goroutine
	anything := func(diskcalls.Op) unix.Errno {
		return []unix.Errno{0, 0, 0, unix.EIO, unix.ENOSPC}[now.IntN(5)]
	}
	fault.Store(&anything)
	r.until(t, "anything fails", func(_ *wire.Status, all string) bool { return all != "" })
	heals(0)
	st, err := r.c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if log := st.Log; log.Lost > 0 || log.Next-log.First != uint64(log.Records+log.Pending) {
		t.Errorf("events are missing: %+v", log)
	}
	r.end(t)
	if err := watcher.Wait(); err != nil {
		t.Error(err)
	}
}
