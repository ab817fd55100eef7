package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// runLog writes lines for people, each with the time unless whoever reads them
// adds one.
type runLog struct {
	mu    sync.Mutex
	w     io.Writer
	times bool
}

func newRunLog(w io.Writer) *runLog {
	return &runLog{w: w, times: os.Getenv("JOURNAL_STREAM") == ""}
}

// print writes a line. Where that fails there is nobody to tell.
func (l *runLog) print(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.times {
		line = time.Now().Format(time.DateTime) + " " + line
	}
	fmt.Fprintln(l.w, printable(line))
}

func (l *runLog) printf(format string, args ...any) { l.print(fmt.Sprintf(format, args...)) }
