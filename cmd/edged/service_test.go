package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/client"
)

// manager is a service manager that edged runs under.
type manager struct{ net.PacketConn }

// newManager makes one that wants to hear a sign of life in each period.
func newManager(t *testing.T, period time.Duration) (m manager, environment []string) {
	t.Helper()
	path := testSocket(t)
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return manager{c}, []string{"NOTIFY_SOCKET=" + path, fmt.Sprintf("WATCHDOG_USEC=%d", period.Microseconds())}
}

// wait waits until something is heard that holds the text, and returns all that was heard
// until then.
func (m manager) wait(t *testing.T, text string) string {
	t.Helper()
	m.SetReadDeadline(time.Now().Add(processTime))
	var all []string
	for b := make([]byte, 4096); ; {
		n, _, err := m.ReadFrom(b)
		if err != nil {
			t.Fatalf("%q was not heard: %v; heard %q", text, err, all)
		}
		all = append(all, string(b[:n]))
		if strings.Contains(all[len(all)-1], text) {
			return strings.Join(all, "\n")
		}
	}
}

// TestService runs edged as a service manager does: it hears of readiness and of life,
// ends it as a watchdog does and starts it again, kills it, and stops it.
func TestService(t *testing.T) {
	needProcess(t)
	t.Parallel()
	m, environment := newManager(t, 12*time.Second)
	state, socket := filepath.Join(t.TempDir(), "state"), testSocket(t)
	begin := func() *process {
		t.Helper()
		p := newProcess(t, "run", "-config", "../../docs/example-sim.yaml", "-state", state, "-socket", socket)
		p.Env = append(p.Env, environment...)
		p.start(t)
		if heard := m.wait(t, "READY=1"); !strings.Contains(heard, "READY=1\nSTATUS=2 scenes, ") {
			t.Errorf("heard %q", heard)
		}
		return p
	}
	problems := func() string {
		t.Helper()
		c, err := client.Dial(t.Context(), socket, nil) // it is ready: its socket answers
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(s.Problems, "\n")
	}

	p := begin()
	m.wait(t, "WATCHDOG=1")
	if got := problems(); got != "" {
		t.Errorf("problems of a first run: %s", got)
	}
	p.Process.Signal(syscall.SIGABRT)
	if err := p.wait(); err == nil || p.ProcessState.ExitCode() != exitUsage {
		t.Errorf("after the watchdog's signal: %v", err)
	}

	p = begin()
	report := filepath.Join(crashFolder(state), "crash-000001.txt")
	if got := problems(); !strings.Contains(got, "SIGABRT: abort ("+report+")") {
		t.Errorf("problems after the watchdog's signal: %s", got)
	}
	if text, err := os.ReadFile(report); err != nil || !strings.Contains(string(text), "goroutine ") {
		t.Errorf("%s: %v\n%s", report, err, text)
	}
	p.Process.Kill()
	p.wait()

	p = begin()
	if got := problems(); !strings.Contains(got, "it was killed, or the power failed") {
		t.Errorf("problems after kill -9: %s", got)
	}
	p.Process.Signal(syscall.SIGHUP)
	m.wait(t, "RELOADING=1\nMONOTONIC_USEC=")
	m.wait(t, "READY=1")
	p.Process.Signal(syscall.SIGTERM)
	m.wait(t, "STOPPING=1")
	for range 100 { // one that came twice is one
		p.Process.Signal(syscall.SIGTERM)
		time.Sleep(time.Millisecond)
	}
	if err := p.wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its socket: %v", err)
	}

	p = begin()
	if got := problems(); got != "" {
		t.Errorf("problems after a good end: %s", got)
	}
	p.Process.Signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Error(err)
	}
}
