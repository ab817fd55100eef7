package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/client"
)

// pty opens a pseudo terminal of the given size.
func pty(t *testing.T, cols, rows int) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skip("cannot unlock the pseudo terminal: ", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("cannot open the pseudo terminal: ", err)
	}
	t.Cleanup(func() { slave.Close() })
	resizeTo(t, master, cols, rows)
	return master, slave
}

func resizeTo(t *testing.T, master *os.File, cols, rows int) {
	t.Helper()
	ws := &unix.Winsize{Col: uint16(cols), Row: uint16(rows)}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, ws); err != nil {
		t.Fatal(err)
	}
}

// session is edged at a terminal.
type session struct {
	*process
	master, slave *os.File
	before        unix.Termios // the line discipline at the start
	mu            sync.Mutex   // the terminal reads no further while it is held
	vt            *vt
	raw           bytes.Buffer
	done          chan struct{} // the terminal was read to its end
}

func startSession(t *testing.T, env []string, args ...string) *session {
	t.Helper()
	s := &session{process: newProcess(t, args...), vt: newVT(t, 80, 24), done: make(chan struct{})}
	s.master, s.slave = pty(t, 80, 24)
	s.before = s.lineDiscipline(t)
	s.Stdin, s.Stdout = s.slave, s.slave
	s.Env = append(append(s.Env, "TERM=xterm-256color", "COLORTERM=truecolor", "NO_COLOR=", "LC_ALL=C.UTF-8"), env...)
	s.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go func() {
		defer close(s.done)
		buf := make([]byte, 4096)
		for {
			n, err := s.master.Read(buf)
			s.mu.Lock()
			s.raw.Write(buf[:n])
			s.vt.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { s.drain(t) }) // after the process was waited for
	s.start(t)
	return s
}

// lineDiscipline is that of the terminal now.
func (s *session) lineDiscipline(t *testing.T) unix.Termios {
	t.Helper()
	l, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *l
}

// press types keys.
func (s *session) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// drain waits for the last of the process's output, once it has ended.
func (s *session) drain(t *testing.T) {
	t.Helper()
	s.slave.Close() // now nobody holds it, and reading the master ends
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		t.Fatal("the terminal never ended")
	}
}

// until waits for a text on the screen.
func (s *session) until(t *testing.T, what string) string {
	t.Helper()
	var screen string
	s.when(t, what, func() bool {
		screen = s.vt.String()
		return strings.Contains(screen, what)
	})
	return screen
}

// when waits for a condition of the terminal.
func (s *session) when(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		yes, screen := ok(), s.vt.String()
		s.mu.Unlock()
		if yes {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited too long for %s:\n%s", what, screen)
		}
	}
}

// quit waits until the process ended and the terminal has shown all of its
// output, and returns the exit code.
func (s *session) quit(t *testing.T) (code int) {
	t.Helper()
	code = s.end(t)
	after := s.lineDiscipline(t)
	s.drain(t)
	if after != s.before {
		t.Errorf("line discipline changed from %+v to %+v", s.before, after)
	}
	if s.vt.alternate || s.vt.hidden {
		t.Error("the terminal was not given back")
	}
	return code
}

func TestTerminalDemo(t *testing.T) {
	socket := testSocket(t)
	args := []string{"demo", "-every", "20ms", "-socket", socket}
	s := startSession(t, nil, args...)
	s.until(t, "· true ") // a caption was scored
	screen := s.until(t, "ask -socket "+socket)
	for _, want := range []string{"a simulated room, seed 1", " front", " side", "▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀", "ask -socket " + socket} {
		if !strings.Contains(screen, want) {
			t.Errorf("%q is not on the screen:\n%s", want, screen)
		}
	}
	during := s.lineDiscipline(t)
	s.mu.Lock()
	if !s.vt.alternate || !s.vt.hidden || during.Lflag&unix.ECHO != 0 {
		t.Errorf("while running: alternate screen %v, hidden cursor %v, echo %v", s.vt.alternate, s.vt.hidden, during.Lflag&unix.ECHO != 0)
	}
	s.mu.Unlock()

	if code, out, stderr := runCommand(t, "ask", "-socket", socket, "how many objects are there?"); code != exitOK || out == "" {
		t.Errorf("ask: code %d, %q, %q", code, out, stderr)
	}
	if code, out, stderr := runCommand(t, "ask", "-socket", socket, "where is the zebra?"); code != exitFailed || out != "" ||
		!strings.Contains(stderr, `does not know this word: "zebra?" (bad_request)`) {
		t.Errorf("unknown word: code %d, %q, %q", code, out, stderr)
	}

	// A smaller window: everything is drawn anew, within it.
	resizeTo(t, s.master, 60, 20)
	s.when(t, "everything within the smaller window", func() bool {
		lines := strings.Split(s.vt.String(), "\n")
		for y, l := range lines {
			if len([]rune(l)) > 60 || y >= 20 && l != "" {
				return false
			}
		}
		hint := shellLines(askHint(socket), 60)
		for i, l := range hint {
			if lines[20-len(hint)+i] != strings.TrimRight(l, " ") {
				return false
			}
		}
		return strings.HasPrefix(lines[19-len(hint)], " ask in another terminal") && strings.HasPrefix(lines[rowsAbove], " ▀▀▀▀▀▀")
	})

	// Keys do nothing, however many (a terminal holds 4096 that nobody read), nor
	// does Ctrl-Z; Ctrl-C ends.
	s.press(t, strings.Repeat("typed\r\n\x04\x16", 1500)+"\x1a\x16\x03")
	if code := s.quit(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if out := s.vt.normal.String(); !strings.Contains(out, "frame sets, ") || strings.Contains(out, "typed") {
		t.Errorf("left on the normal screen: %q", out)
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("socket left behind")
	}
}

// TestTerminalSlow presses Ctrl-C while the terminal does not keep up with what
// it is to show. Nothing of that may be lost: else sequences are cut, and the demo
// waits for ever for room that it already has.
func TestTerminalSlow(t *testing.T) {
	socket := testSocket(t)
	s := startSession(t, nil, "demo", "-every", "20ms", "-socket", socket)
	s.until(t, "· true ")
	c, err := client.Dial(t.Context(), socket, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.mu.Lock()
	read := sync.OnceFunc(s.mu.Unlock)
	defer read()
	var frames int64
	for same, end := 0, time.Now().Add(30*time.Second); same < 20 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		st, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := st.Scenes[0].Frames; n != frames {
			frames, same = n, 0
		} else {
			same++ // the demo waits for the terminal
		}
	}
	s.press(t, "\x03")
	time.Sleep(50 * time.Millisecond) // so that the key arrives before there is room
	read()
	if code := s.quit(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if out := s.vt.normal.String(); !strings.Contains(out, "frame sets, ") {
		t.Errorf("left on the normal screen: %q", out)
	}
}

func TestTerminalWithoutColors(t *testing.T) {
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		args := []string{"demo", "-frames", "2", "-every", "1ms", "-socket", testSocket(t)}
		s := startSession(t, []string{env}, args...)
		if code := s.quit(t); code != exitOK {
			t.Errorf("%s: code %d", env, code)
		}
		if out := s.raw.String(); strings.Contains(out, "\x1b") || !strings.Contains(out, "2 frame sets") {
			t.Errorf("%s: %q", env, out)
		}
	}
}

func TestTerminal256(t *testing.T) {
	args := []string{"demo", "-frames", "2", "-every", "1ms", "-socket", testSocket(t)}
	s := startSession(t, []string{"COLORTERM="}, args...)
	if code := s.quit(t); code != exitOK {
		t.Errorf("code %d", code)
	}
	if out := s.raw.String(); !strings.Contains(out, "\x1b[38;5;") || strings.Contains(out, "\x1b[38;2;") {
		t.Error("not the 256 colours of xterm")
	}
}

// TestClosedPipe is "edged demo -json | head -1".
func TestClosedPipe(t *testing.T) {
	socket := testSocket(t)
	p := newProcess(t, "demo", "-json", "-frames", "1000", "-socket", socket)
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start(t)
	if _, err := io.ReadFull(out, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if code := p.end(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("socket left behind")
	}
}

// TestRudeClients leaves in the middle of answers: the demo goes on.
func TestRudeClients(t *testing.T) {
	socket := testSocket(t)
	p := newProcess(t, "demo", "-quiet", "-every", "20ms", "-socket", socket)
	p.start(t)
	hello := []byte("\x00\x00\x00\x1a\x83\xa4type\xa5hello\xa2id\x01\xa8protocol\x01")
	ask := []byte("\x00\x00\x00\x22\x83\xa4type\xa3ask\xa2id\x02\xa8question\xaawhat left?")
	for end := time.Now().Add(60 * time.Second); !answers(socket); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the demo does not answer")
		}
	}
	for i := range 100 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		c.Write(append(hello, ask...))
		time.Sleep(time.Duration(i%10) * 300 * time.Microsecond)
		c.Close()
	}
	code, out, stderr := runCommand(t, "ask", "-socket", socket, "what left?")
	for strings.Contains(stderr, "(busy)") || strings.Contains(stderr, "(not_ready)") { // places of those who left, a first frame set
		time.Sleep(5 * time.Millisecond)
		code, out, stderr = runCommand(t, "ask", "-socket", socket, "what left?")
	}
	if code != exitOK || out == "" {
		t.Errorf("ask: code %d, %q, %q", code, out, stderr)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.end(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestTerminalFolder plays pictures to their end: the last one stays, and
// questions are answered, until Ctrl-C.
func TestTerminalFolder(t *testing.T) {
	dir, socket := t.TempDir(), testSocket(t)
	writeFilm(t, dir, 3)
	args := []string{"demo", "-source", dir, "-every", "1ms", "-socket", socket}
	s := startSession(t, nil, args...)
	screen := s.until(t, "that was the last picture")
	if !strings.Contains(screen, "▀▀▀▀") || strings.Contains(screen, "slots") {
		t.Errorf("screen:\n%s", screen)
	}
	if code, out, stderr := runCommand(t, "ask", "-socket", socket, "how many objects are there?"); code != exitOK || out == "" {
		t.Errorf("ask: code %d, %q, %q", code, out, stderr)
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.quit(t); code != exitOK {
		t.Errorf("code %d", code)
	}
	if out := s.vt.normal.String(); !strings.HasPrefix(out, "3 frame sets") {
		t.Errorf("normal screen: %q", out)
	}
}
