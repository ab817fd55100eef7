//go:build amd64 || arm64

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/fw"
)

// bigBundle has a model of some pieces that is none.
func bigBundle(t *testing.T, version uint64) string {
	t.Helper()
	return makeBundle(t, version, make([]byte, 5*fw.ChunkSize/2))
}

// fwProcess prepares "edged fw" with a state folder and the keys of the tests.
func fwProcess(t *testing.T, state string, args ...string) *process {
	t.Helper()
	p := newProcess(t, append([]string{"fw"}, args...)...)
	p.Args = append(p.Args, "-state", state)
	if args[0] == "install" {
		p.Args = append(p.Args, "-trust", fwKeys+"minisign.pub")
	}
	return p
}

// begun waits until something of a file is in slot a.
func begun(t *testing.T, p *process, state, name string) {
	t.Helper()
	for {
		if info, err := os.Stat(filepath.Join(slotsPath(state), "a", name)); err == nil && info.Size() >= fw.ChunkSize {
			return
		}
		if p.ctx.Err() != nil {
			t.Fatal("nothing is written")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestInstallInterrupted interrupts an installation from a pipe that has no more to give, and tries another and a look beside it; the next goes on
// where it was.
func TestInstallInterrupted(t *testing.T) {
	needProcess(t)
	t.Parallel()
	state, bundle := t.TempDir(), bigBundle(t, 1)
	data, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		p := fwProcess(t, state, "install", "-", "-quiet")
		in, err := p.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.start(t)
		if _, err := in.Write(data[:fw.ChunkSize+fw.ChunkSize/2]); err != nil {
			t.Fatal(err)
		}
		begun(t, p, state, "demo.gguf~")
		second := fwProcess(t, state, "install", bundle, "-quiet") // waits a moment
		if signal == os.Interrupt && (second.Run() == nil || !strings.Contains(second.stderr.String(), "another edged installs a bundle just now")) {
			t.Errorf("a second installation: %s", &second.stderr)
		}
		contains(t, fwRun(t, exitOK, "status", "-state", state), "slot a  installing  garden version 1")
		p.Process.Signal(signal)
		if p.wait() == nil || p.ProcessState.ExitCode() != exitFailed || p.stderr.String() != "edged fw install: interrupted; what has come is kept, and the same command goes on from there\n" {
			t.Errorf("%v, %q", p.ProcessState, &p.stderr)
		}
	}
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Range"))
		http.ServeFile(w, r, bundle)
	}))
	defer s.Close()
	fwRun(t, exitOK, "install", s.URL+"/garden.fw", "-quiet", "-trust", fwKeys+"minisign.pub", "-state", state)
	if len(asked) != 2 || asked[0] != "" || asked[1] == "" {
		t.Errorf("asked for the ranges %q", asked)
	}
}

// TestInstallNoRoom installs on a disk that is too small, and on one that others fill meanwhile: it is told, and goes on when there is room.
func TestInstallNoRoom(t *testing.T) {
	needProcess(t)
	t.Parallel()
	dir := smallDisk(t)
	state, bundle := filepath.Join(dir, "state"), bigBundle(t, 1)
	out := fwRun(t, exitFailed, "install", bundle, "-quiet", "-trust", fwKeys+"minisign.pub", "-state", state)
	contains(t, out, "garden version 1 needs 10.6 MB, and there is room for 8.")
	contains(t, fwRun(t, exitOK, "status", "-state", state), "slot a  empty")

	small := makeBundle(t, 2, make([]byte, 3*fw.ChunkSize/2))
	data, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	p := fwProcess(t, state, "install", "-", "-quiet")
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start(t)
	if _, err := in.Write(data[:fw.ChunkSize+1<<20]); err != nil {
		t.Fatal(err)
	}
	begun(t, p, state, "demo.gguf~")
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 8<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	go func() {
		in.Write(data[fw.ChunkSize+1<<20:])
		in.Close()
	}()
	if p.wait() == nil || !strings.Contains(p.stderr.String(), "a/demo.gguf~: no space left on device; make room on that disk") {
		t.Errorf("%v, %q", p.ProcessState, &p.stderr)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	fwRun(t, exitOK, "install", small, "-quiet", "-trust", fwKeys+"minisign.pub", "-state", state)
}

// TestInstalledReadOnly: on a disk that has become read-only what is installed runs, and is told of; nothing is tried or installed.
func TestInstalledReadOnly(t *testing.T) {
	needProcess(t)
	t.Parallel()
	dir := smallDisk(t)
	d := newFWDevice(t)
	d.state = filepath.Join(dir, "state")
	d.prepare(t, "commit")
	fwRun(t, exitOK, "commit", "-state", d.state)
	version := d.slots(t).A.Version
	d.install(t)
	if err := unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	contains(t, fwRun(t, exitOK, "list", "-state", d.state), "slot b  ready")
	contains(t, fwRun(t, exitFailed, "rollback", "-state", d.state), "read-only file system; that disk has to be mounted for writing")
	var told syncBuffer
	p := &depot{state: d.state, log: newRunLog(&told), limit: healthLimit, fits: func(*delivery) error { return nil }}
	is, err := p.open(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer is.model.Close()
	if name := is.model.Info().Name; is.slot != "a" || name != modelName(t, fwModel(version)) || is.trial {
		t.Errorf("%+v runs:\n%s", is.origin, &told)
	}
	contains(t, told.String(), "read-only file system")
}

// TestInstallProgress: on a terminal there is a bar, in a pipe a line for each tenth at most, and the standard output has the result alone.
// It is slowed down by -rate, which holds.
func TestInstallProgress(t *testing.T) {
	needProcess(t)
	t.Parallel()
	state, bundle := t.TempDir(), bigBundle(t, 1)
	s := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(bundle))))
	defer s.Close()
	install := []string{"install", s.URL + "/" + filepath.Base(bundle), "-rate", "6000", "-json"}

	p := fwProcess(t, state, install...)
	begun := time.Now()
	out, err := p.Output()
	took := time.Since(begun)
	// All but the last tenth of a second takes its time.
	if size := 5 * fw.ChunkSize / 2; err != nil || took < time.Duration(size)*time.Second/6e6-200*time.Millisecond {
		t.Errorf("%d bytes took %v at 6000 kB a second: %v", size, took, err)
	}
	if !strings.HasPrefix(string(out), "{") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("standard output %q", out)
	}
	lines := strings.Split(strings.TrimSuffix(p.stderr.String(), "\n"), "\n")
	if len(lines) > 10 || strings.ContainsAny(p.stderr.String(), "\r\x1b") || !strings.Contains(lines[0], " % ") {
		t.Errorf("in a pipe: %q", lines)
	}

	master, slave := pty(t, 80, 24)
	p = fwProcess(t, t.TempDir(), install...)
	p.Stdin, p.Cmd.Stderr, p.Env = slave, slave, append(p.Env, "TERM=xterm")
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	var told strings.Builder
	read := make(chan struct{})
	go func() {
		io.Copy(&told, master) // until the last slave is closed
		close(read)
	}()
	if _, err := p.Output(); err != nil {
		t.Error(err)
	}
	slave.Close()
	<-read
	if text := told.String(); !strings.Contains(text, "\r[#") || !strings.HasSuffix(text, "\r") || strings.Contains(text, "\n") {
		t.Errorf("on a terminal: %q", text)
	}
}

// TestInstallOwner: run by root, it takes the rights of whoever owns the state folder.
func TestInstallOwner(t *testing.T) {
	needProcess(t)
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	const nobody = 65534
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	bundle := makeBundle(t, 1, demoInt4)
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != "/"; d = filepath.Dir(d) { // whoever it is may pass, as to /var/lib
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&0o001 == 0 {
			if !strings.HasPrefix(d, os.TempDir()+"/") {
				t.Skipf("%s is closed to others", d)
			}
			if err := os.Chmod(d, info.Mode().Perm()|0o011); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chown(state, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if out, err := fwProcess(t, state, "install", bundle, "-quiet").Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := filepath.WalkDir(state, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != nobody || owner.Gid != nobody || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s belongs to %d:%d, %v", path, owner.Uid, owner.Gid, info.Mode())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
