package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	clock := time.Unix(0, 0)
	p := newProgress(&b, false)
	p.now = func() time.Time { return clock }
	p.start, p.next = clock, clock.Add(time.Second)
	const total = 2000e6
	for done := int64(0); done <= total; done += 1e6 {
		p.show(done, total)
		clock = clock.Add(10 * time.Millisecond)
	}
	p.end()
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 10 || lines[4] != " 50 %  1000 of 2000 MB  100 MB/s  10s left" || lines[9] != "100 %  2000 of 2000 MB  100 MB/s" {
		t.Errorf("%q", lines)
	}

	b.Reset()
	p = &progress{w: &b, bar: true, now: func() time.Time { return clock }, start: clock, next: clock.Add(time.Second)}
	clock = clock.Add(2 * time.Second)
	p.show(100e6, 200e6)
	if want := "\r[##########..........]  50 %  100 of 200 MB  50 MB/s  2s left"; b.String() != want {
		t.Errorf("%q", b.String())
	}
	p.show(101e6, 200e6) // too soon to be drawn again
	b.Reset()
	p.end()
	if strings.TrimSpace(b.String()) != "" || b.Len() == 0 {
		t.Errorf("end: %q", b.String())
	}

	b.Reset()
	quiet := newProgress(&b, true)
	quiet.next = time.Time{}
	quiet.show(1, 2)
	quiet.end()
	if b.Len() > 0 {
		t.Errorf("quiet: %q", b.String())
	}
}
