package watchdog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/edge/watchdog"
)

// manager is a service manager's end of the notify socket.
type manager int

func newManager(t *testing.T) manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	return manager(fd)
}

// heard is what was sent since it was last called; the kernel keeps ten messages, by
// default, and lets senders wait for the manager then.
func (m manager) heard(t *testing.T) (all []string) {
	t.Helper()
	for {
		var b [512]byte
		n, _, err := unix.Recvfrom(int(m), b[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b[:n]))
	}
}

// A part is what has to move: it beats every second, through a context, until it freezes.
type part struct{ frozen atomic.Bool }

func (p *part) run(ctx context.Context, pulse *watchdog.Pulse) {
	beating := pulse.Context(ctx)
	for sleep(ctx, time.Second) && (p.frozen.Load() || beating.Err() == nil) {
	}
}

// sleep is false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// TestFrozen freezes capture, inference, both and none, and listens at a real socket
// to what a service manager would hear.
func TestFrozen(t *testing.T) {
	const period = 20 * time.Second
	for _, test := range []struct {
		name    string
		freeze  []string
		recover bool
	}{
		{name: "none"},
		{name: "capture", freeze: []string{"capture"}},
		{name: "inference", freeze: []string{"inference"}},
		{name: "both", freeze: []string{"capture", "inference"}},
		{name: "for a while", freeze: []string{"capture"}, recover: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newManager(t)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var w watchdog.Watchdog
				parts := map[string]*part{"capture": {}, "inference": {}}
				for _, name := range []string{"capture", "inference"} {
					go parts[name].run(ctx, w.Watch(name))
				}
				time.Sleep(500 * time.Millisecond) // so that looks and beats do not fall together
				w.Watch("that waits for its turn").Rest()
				var told []string
				go w.Run(ctx, period, func(frozen []string) { told = append(told, strings.Join(frozen, " ")) })

				time.Sleep(200 * time.Millisecond)
				for range 3 {
					time.Sleep(period)
					synctest.Wait()
					if h := m.heard(t); len(h) != 4 || slices.ContainsFunc(h, func(s string) bool { return s != "WATCHDOG=1" }) {
						t.Fatalf("%d signs of life in a period: %q", len(h), h)
					}
				}
				if len(told) != 0 {
					t.Fatalf("told %q", told)
				}

				for _, f := range test.freeze {
					parts[f].frozen.Store(true)
				}
				time.Sleep(period)
				synctest.Wait()
				h := m.heard(t)
				if len(test.freeze) == 0 {
					if len(h) != 4 || slices.Contains(h, "WATCHDOG=trigger") || len(told) != 0 {
						t.Errorf("heard %q, told %q with nothing frozen", h, told)
					}
					return
				}
				// The last beat was before the look that ended the period before.
				if got := strings.Join(h, " "); got != "WATCHDOG=1 WATCHDOG=trigger WATCHDOG=trigger WATCHDOG=trigger" {
					t.Errorf("heard %s", got)
				}
				if len(told) != 1 || told[0] != strings.Join(test.freeze, " ") {
					t.Errorf("told %q", told)
				}
				if !test.recover {
					return
				}
				parts["capture"].frozen.Store(false)
				time.Sleep(period)
				synctest.Wait()
				if h := m.heard(t); len(h) != 4 || slices.Contains(h, "WATCHDOG=trigger") {
					t.Errorf("heard %q of a part that moves again", h)
				}
				if len(told) != 2 || told[1] != "" {
					t.Errorf("told %q of a part that moves again", told)
				}
			})
		})
	}
}

// TestForget leaves out a part that is no more, and no other.
func TestForget(t *testing.T) {
	m := newManager(t)
	synctest.Test(t, func(t *testing.T) {
		var w watchdog.Watchdog
		a, b := w.Watch("a"), w.Watch("b")
		a.Beat()
		b.Beat()
		var told []string
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.Run(ctx, time.Minute, func(frozen []string) { told = append(told, fmt.Sprint(frozen)) })
		time.Sleep(time.Minute)
		synctest.Wait()
		w.Forget(a)
		time.Sleep(time.Minute)
		synctest.Wait()
		w.Forget(b)
		m.heard(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Join(told, " "); got != "[a b] [b] []" {
			t.Errorf("told %s", got)
		}
		if h := m.heard(t); slices.Contains(h, "WATCHDOG=trigger") {
			t.Errorf("heard %q", h)
		}
	})
}

func TestNotify(t *testing.T) {
	m := newManager(t)
	for _, s := range [][]string{{watchdog.Ready, watchdog.Status("two\nlines")}, {watchdog.Reloading()}, {watchdog.Stopping}} {
		if err := watchdog.Notify(s...); err != nil {
			t.Fatal(err)
		}
	}
	h := m.heard(t)
	if len(h) != 3 || h[0] != "READY=1\nSTATUS=two lines" || !strings.HasPrefix(h[1], "RELOADING=1\nMONOTONIC_USEC=") || h[2] != "STOPPING=1" {
		t.Errorf("heard %q", h)
	}
	var err error
	for range 1 << 12 { // more than any kernel keeps for a manager that does not listen
		if err = watchdog.Notify(watchdog.Ready); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a manager that does not listen: %v", err)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := watchdog.Notify(watchdog.Ready); err != nil {
		t.Errorf("without a manager: %v", err)
	}
}

func TestPeriod(t *testing.T) {
	for _, test := range []struct {
		usec, pid string
		want      time.Duration
		bad       bool
	}{
		{"", "", time.Minute, false},
		{"180000000", "", 3 * time.Minute, false},
		{"180000000", "1", time.Minute, false}, // somebody else's
		{"soon", "", time.Minute, true},
	} {
		t.Setenv("WATCHDOG_USEC", test.usec)
		t.Setenv("WATCHDOG_PID", test.pid)
		if d, err := watchdog.Period(); d != test.want || err != nil != test.bad {
			t.Errorf("%q: %v, %v", test.usec, d, err)
		}
	}
}

// TestBeatsFromEverywhere: a part that beats and rests from several goroutines is
// never lost between the two.
func TestBeatsFromEverywhere(t *testing.T) {
	m := newManager(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var w watchdog.Watchdog
		p := w.Watch("busy")
		for range 4 {
			go func() {
				for {
					p.Beat()
					p.Beat()
					if !sleep(ctx, time.Second) {
						return
					}
					p.Rest()
					p.Rest()
					if !sleep(ctx, time.Second) {
						return
					}
				}
			}()
		}
		go w.Run(ctx, 10*time.Second, func(frozen []string) { t.Errorf("frozen: %q", frozen) })
		for range 60 {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if h := m.heard(t); len(h) < 3 {
				t.Fatalf("heard %q in a period", h)
			}
		}
	})
}
