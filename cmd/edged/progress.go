package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress shows how far a long run has come: a bar on a terminal, a line for each tenth
// elsewhere. What takes less than a second is not worth a word.
type progress struct {
	w     io.Writer
	bar   bool
	start time.Time
	next  time.Time // when the bar is drawn again
	tenth int64     // the last that a line was written for
	drawn int       // columns of the bar that is on the terminal
	now   func() time.Time
}

// newProgress makes one that writes to w, or one that is silent.
func newProgress(w io.Writer, quiet bool) *progress {
	p := &progress{w: w, now: time.Now}
	if quiet {
		p.w = nil
	}
	if f, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		width, _ := terminalSize(f)
		p.bar = width >= 60 && inForeground(f)
	}
	p.start = p.now()
	p.next = p.start.Add(time.Second)
	return p
}

// show tells that so many bytes of a total are done.
func (p *progress) show(done, total int64) {
	t := p.now()
	if p.w == nil || total <= 0 || t.Before(p.next) {
		return
	}
	text := progressText(done, total, t.Sub(p.start))
	switch tenth := 10 * done / total; {
	case p.bar:
		const cells = 20
		full := int(cells * done / total)
		line := "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "] " + text
		fmt.Fprintf(p.w, "\r%-*s", p.drawn, line)
		p.drawn = len(line)
		p.next = t.Add(200 * time.Millisecond)
	case tenth > p.tenth:
		fmt.Fprintln(p.w, text)
		p.tenth = tenth
	}
}

// end leaves the terminal's line empty.
func (p *progress) end() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.drawn, "")
	}
}

// progressText says what share, how fast, and for how long still at that rate.
func progressText(done, total int64, elapsed time.Duration) string {
	rate := float64(done) / max(elapsed.Seconds(), 1e-3)
	s := fmt.Sprintf("%3d %%  %d of %d MB  %.0f MB/s", 100*done/total, done/1e6, total/1e6, rate/1e6)
	if done < total && rate > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		s += "  " + left.Round(time.Second).String() + " left"
	}
	return s
}
