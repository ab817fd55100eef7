package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/wire"
)

// outputs are those of a daemon, as its configuration has them at the time.
type outputs struct {
	daemon *edge.Daemon
	stdout io.Writer
	log    *runLog

	running []output
}

// output writes events as lines of JSON, as "edged watch -json" prints them.
type output struct {
	config.Output
	cancel context.CancelFunc // has it end before the daemon does
	done   chan struct{}      // closed when it has
}

// set ends the outputs that are not wanted and starts those that are new.
func (o *outputs) set(wanted []config.Output) error {
	var stay []output
	for _, out := range o.running {
		if slices.Contains(wanted, out.Output) {
			stay = append(stay, out)
			continue
		}
		out.cancel()
		<-out.done
	}
	o.running = stay
	for _, w := range wanted {
		if slices.ContainsFunc(o.running, func(out output) bool { return out.Output == w }) {
			continue
		}
		if err := o.start(w); err != nil {
			return fmt.Errorf("output %s: %w", w.JSONL, err)
		}
	}
	return nil
}

// end waits for the last events, which come when the daemon is closed.
func (o *outputs) end() {
	for _, out := range o.running {
		<-out.done
		out.cancel()
	}
}

func (o *outputs) start(c config.Output) error {
	to, name, shut := o.stdout, "standard output", func() error { return nil }
	if c.JSONL != "-" {
		f := &lineFile{path: c.JSONL}
		to, name, shut = f, c.JSONL, f.Close
	}
	ctx, cancel := context.WithCancel(context.Background())
	inside, err := o.daemon.Client(ctx)
	if err != nil {
		cancel()
		return err
	}
	out := output{c, cancel, make(chan struct{})}
	o.running = append(o.running, out)
	go func() {
		defer close(out.done)
		failing := false
		for e, err := range inside.Watch(ctx, new(wire.Watch)) {
			if err != nil {
				break // the daemon stops, or the output is not wanted any more
			}
			err = printEventJSON(to, e)
			if err != nil && !failing {
				o.log.printf("output: events are lost: %v", err)
			}
			if err == nil && failing {
				o.log.printf("output: %s can be written again", name)
			}
			failing = err != nil
		}
		inside.Close()
		if err := shut(); err != nil {
			o.log.printf("output: %v", err)
		}
	}()
	return nil
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
