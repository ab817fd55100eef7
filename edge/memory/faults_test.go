package memory

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/faultdisk"
)

// TestFaults makes each operation fail in turn, for a while.
func TestFaults(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
		for _, op := range []string{"mkdir", "names", "open", "read", "create", "write", "sync", "rename", "syncdir", "remove"} {
			t.Run(op+" "+errno.Error(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { fail(t, op, errno) })
			})
		}
	}
}

func fail(t *testing.T, op string, errno syscall.Errno) {
	d, fs := newDevice(), faultdisk.New()
	s := open(t, d.config(fs))
	frame := uint64(0)
	run := func(s *Store, n int) {
		for range n {
			frame++
			s.Keep(moment(d, frame))
			synctest.Wait()
			d.Pass(20 * time.Second)
		}
	}
	run(s, 400)
	closeStore(t, s)
	bad := true
	fs.Fault = func(o, _ string) error {
		if bad && o == op {
			return errno
		}
		return nil
	}
	s = open(t, d.config(fs))
	snap, err := s.Newest(any1, whole)
	if unreadable := op == "mkdir" || op == "names" || op == "open" || op == "read"; unreadable == (err == nil) {
		t.Fatalf("newest %v, %v", snap, err)
	}
	run(s, 12)
	saves := op != "remove" // which is not needed for each
	if st := s.Status(); saves && (st.Problem == "" || !strings.Contains(st.Problem, "yard")) {
		t.Errorf("status %+v", st)
	}
	if snap, err := s.Before(time.Minute); err != nil || check(snap) != nil {
		t.Errorf("the RAM's: %v", err)
	}
	bad = false
	run(s, 12)
	if st := s.Status(); st.Problem != "" {
		t.Errorf("after the disk works again: %+v", st)
	}
	r := d.reported()
	if saves && (len(r) != 2 || !strings.Contains(r[0], "cannot be saved") || !strings.Contains(r[1], "saved again")) {
		t.Errorf("reports %q", r)
	}
	// Everything is there again, in one order.
	for i, info := range s.List() {
		if i > 0 && (info.Frame <= s.List()[i-1].Frame || info.Ran < s.List()[i-1].Ran) {
			t.Errorf("frame %d at %v comes after %d at %v", info.Frame, info.Ran, s.List()[i-1].Frame, s.List()[i-1].Ran)
		}
	}
	if snap, err := s.Before(2 * time.Hour); err != nil || check(snap) != nil {
		t.Errorf("two hours ago: %v", err)
	}
	closeStore(t, s)
	s = open(t, d.config(fs))
	defer closeStore(t, s)
	if snap, err := s.Newest(any1, whole); err != nil || snap.Frame != frame {
		t.Errorf("restored %v, %v, want frame %d", snap, err, frame)
	}
}

// TestDamage changes files behind the store's back.
func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		s := open(t, d.config(fs))
		keepEach(d, s, 10, time.Minute)
		closeStore(t, s)
		list := s.List()
		file := func(back int) string { return filepath.Join(testDir, fileName(list[len(list)-back].Seq)) }
		fs.Edit(file(1), func(b []byte) []byte { b[len(b)-10] ^= 1; return b })
		fs.Edit(file(2), func(b []byte) []byte { return b[:len(b)-1] })
		fs.Edit(file(3), func(b []byte) []byte { return nil })
		other := d.config(fs)
		other.Scene = "hall"
		foreign := &Snapshot{Info: Info{Seq: list[len(list)-4].Seq}, Memories: []Memory{{State: state(1)}}}
		fs.Edit(file(4), func([]byte) []byte { return bytes.Join(foreign.encode("hall"), nil) })

		s = open(t, d.config(fs))
		snap, err := s.Newest(any1, whole)
		if err != nil || snap.Seq != list[len(list)-5].Seq {
			t.Errorf("newest %+v, %v", snap, err)
		}
		if r := d.reported(); len(r) != 4 {
			t.Errorf("reports %q", r)
		}
		closeStore(t, s)
		s = open(t, d.config(fs))
		if _, err := s.Newest(any1, whole); err != nil || len(d.reported()) != 4 {
			t.Errorf("again: %v, reports %q", err, d.reported())
		}
		// What the model refuses is set aside too.
		refused := errors.New("not finite")
		snap, err = s.Newest(any1, func(s *Snapshot) error {
			if s.Frame > 3 {
				return refused
			}
			return nil
		})
		if err != nil || snap.Frame != 3 {
			t.Errorf("newest that is taken: %+v, %v", snap, err)
		}
		closeStore(t, s)
		names, _ := fs.Names(testDir)
		bad := 0
		for _, n := range names {
			if strings.HasSuffix(n, aside) {
				bad++
			}
		}
		if bad != maxAside {
			t.Errorf("%d bad files left: %v", bad, names)
		}
	})
}

// TestStuckDisk lets a save hang: nobody waits for it but Close, and not for ever.
func TestStuckDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		stuck := make(chan struct{})
		fs.Fault = func(op, _ string) error {
			if op == "sync" {
				<-stuck
			}
			return nil
		}
		s := open(t, d.config(fs))
		for f := range uint64(1000) {
			s.Keep(moment(d, f+1))
			d.Pass(time.Minute)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		close(stuck)
		closeStore(t, s)
		if snap, err := s.Newest(any1, whole); err != nil || snap.Frame != 1000 {
			t.Errorf("newest %v, %v", snap, err)
		}
	})
}
