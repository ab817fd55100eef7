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
func quietKeys(f *os.File) (restore func()) {
	fd := int(f.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil || !inForeground(f) {
		return func() {}
	}
	t := *old
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON
	t.Cc[unix.VSUSP] = 0
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
