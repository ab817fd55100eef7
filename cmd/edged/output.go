package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/wire"
)

// startOutput writes the events of a daemon as lines of JSON, as "edged watch -json"
// prints them. end waits for the last ones, which come when the daemon is closed.
func startOutput(d *edge.Daemon, o config.Output, stdout io.Writer, log *runLog) (end func(), err error) {
	out, name, shut := stdout, "standard output", func() error { return nil }
	if o.JSONL != "-" {
		f := &lineFile{path: o.JSONL}
		out, name, shut = f, o.JSONL, f.Close
	}
	ctx := context.Background()
	c, err := d.Client(ctx)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		failing := false
		for e, err := range c.Watch(ctx, new(wire.Watch)) {
			if err != nil {
				return // the daemon stops
			}
			err = printEventJSON(out, e)
			if err != nil && !failing {
				log.printf("output: events are lost: %v", err)
			}
			if err == nil && failing {
				log.printf("output: %s can be written again", name)
			}
			failing = err != nil
		}
	}()
	return func() {
		<-done
		c.Close()
		if err := shut(); err != nil {
			log.printf("output: %v", err)
		}
	}, nil
}

// lineFile appends lines to a file on a disk that may fail: the file is opened when
// there is something to write, again and again if need be, and a line of which a part
// was written does not spoil the next.
type lineFile struct {
	path string
	f    *os.File
	torn bool
}

// Write writes one line.
func (l *lineFile) Write(line []byte) (n int, err error) {
	if l.f == nil {
		if l.f, err = os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
			return 0, err
		}
	}
	if l.torn {
		if _, err := l.f.Write([]byte("\n")); err != nil {
			return 0, err
		}
		l.torn = false
	}
	n, err = l.f.Write(line)
	l.torn = err != nil && n > 0
	return n, err
}

// Close closes the file if it is open.
func (l *lineFile) Close() error {
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}
