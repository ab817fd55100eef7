package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// terminalSize is the size in columns and rows; zeros when f is no terminal.
func terminalSize(f *os.File) (w, h int) {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(ws.Col), int(ws.Row)
}

// inForeground reports whether f is a terminal that this process may write to:
// with our session's terminal, only the foreground job may.
func inForeground(f *os.File) bool {
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return false
	}
	group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// quietKeys stops a terminal from showing what is typed and from suspending the
// process, and returns how to undo that. Anything else is left alone.
//
// Ctrl-C must not throw away output on its way to the terminal (NOFLSH): that cuts
// sequences in the middle, and on Linux a writer that waits for room in a pseudo
// terminal is not woken when its buffer is emptied so, and then may wait for ever.
// And it must arrive, though nobody reads the keys: a terminal that is full takes
// nothing more, except in the middle of a line, where it drops other keys. So
// this is one line that no key can end.
func quietKeys(f *os.File) (restore func()) {
	fd := int(f.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil || !inForeground(f) {
		return func() {}
	}
	t := *old
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.IEXTEN
	t.Lflag |= unix.ICANON | unix.NOFLSH
	t.Iflag &^= unix.ICRNL
	t.Iflag |= unix.INLCR
	for _, key := range []int{unix.VSUSP, unix.VEOF, unix.VEOL} {
		t.Cc[key] = 0
	}
	if unix.IoctlSetTermios(fd, unix.TCSETS, &t) != nil {
		return func() {}
	}
	return func() { unix.IoctlSetTermios(fd, unix.TCSETSF, old) }
}

// notifyResize sends to c when the terminal's size changes, until stop.
func notifyResize(c chan<- os.Signal) (stop func()) {
	signal.Notify(c, syscall.SIGWINCH)
	return func() { signal.Stop(c) }
}
