package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/wire"
)

const logAbout = `Prints captions and events that edged has kept, the oldest first: what a running one
has, or where none answers what the last one left in its state folder.`

// logQuery is what "edged log" is asked for.
type logQuery struct {
	socket, state, file string // as flags say; empty: not given
	wire.Search
	json bool
}

// eventKinds are those that can be asked for.
var eventKinds = []string{wire.EventCaption, wire.EventAlert, wire.EventState}

// logMain is "edged log".
func logMain(args []string, stdout, stderr io.Writer) int {
	flags := newFlags("log", "[flags]", logAbout)
	var q logQuery
	flags.StringVar(&q.socket, "socket", "", socketHelp)
	flags.StringVar(&q.state, "state", "", "where none answers: "+stateHelp+"; not looked at with -socket alone")
	flags.StringVar(&q.file, "file", "", "read this log `file`, such as one moved aside as damaged, and ask nobody")
	flags.StringVar(&q.Scene, "scene", "", "`name` of the scene (default: all)")
	flags.StringVar(&q.Lang, "lang", "", "of captions only those in this `language` (default: all)")
	flags.StringVar(&q.Event, "event", "", "only those of this `kind`: caption, alert or state (default: all)")
	since := flags.String("since", "", "no older than this `duration`, such as 90s, 1h30m or 2d")
	flags.StringVar(&q.Match, "grep", "", "whose text matches this `regexp`; (?i) in front ignores case")
	flags.Int64Var(&q.Limit, "n", 0, "the newest so `many` of them, up to "+strconv.Itoa(wire.MaxFound))
	flags.BoolVar(&q.json, "json", false, "print one JSON object per event")
	if code, ok := parseFlags(flags, args, stdout, stderr); !ok {
		return code
	}
	q.Newest = q.Limit > 0
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case q.Event != "" && !slices.Contains(eventKinds, q.Event):
		err = fmt.Errorf("-event: %q is not one of %s", q.Event, strings.Join(eventKinds, ", "))
	case q.Limit < 0 || q.Limit > wire.MaxFound:
		err = fmt.Errorf("-n: %d is not from 1 to %d", q.Limit, wire.MaxFound)
	case *since != "":
		d, ok := parseAgo(*since)
		if !ok || d == 0 {
			err = fmt.Errorf("-since: %q is no duration such as 90s, 1h30m or 2d", *since)
		}
		q.Within = float64(d) / float64(time.Millisecond)
	}
	if err == nil {
		_, err = regexp.Compile(q.Match)
	}
	if err != nil {
		return wrongUse(flags, stderr, err.Error())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := q.print(ctx, stdout, stderr); err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "edged log:", err)
		return exitFailed
	}
	return exitOK
}

// print asks the daemon, or reads what the last one left.
func (q *logQuery) print(ctx context.Context, out, stderr io.Writer) error {
	if q.file != "" {
		return q.printFile(ctx, q.file, out, stderr)
	}
	c, err := dial(ctx, socketPath(q.socket), "edged log")
	if err != nil {
		absent := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
		if !absent || q.socket != "" && q.state == "" {
			return err
		}
		state, e := statePath(q.state, "")
		if e != nil {
			return errors.Join(err, e)
		}
		folder := filepath.Join(state, logFolder)
		if _, e := os.Stat(folder); e != nil {
			return fmt.Errorf("%w; and none has left a log: %w", err, e)
		}
		fmt.Fprintf(stderr, "edged log: %v; what follows is kept in %s\n", err, folder)
		return q.printFile(ctx, folder, out, stderr)
	}
	defer c.Close()
	w := bufio.NewWriter(out)
	show := q.printer(len(c.Server().Scenes) > 1)
	for e, err := range c.Search(ctx, &q.Search) {
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
		if err := show(w, e); err != nil {
			return err
		}
	}
	return w.Flush()
}

// printer prints events, with their scenes where there are several and none is asked for, and
// their languages unless one is.
func (q *logQuery) printer(several bool) func(io.Writer, *wire.Event) error {
	if q.json {
		return printEventJSON
	}
	return eventPrinter(time.DateTime, q.Scene == "" && several, q.Lang == "")
}

// logFolder is where below the state folder the log is.
const logFolder = "log"

// logMark is the second file that says how far numbers of events have gone, outside of that folder.
const logMark = "log.mark"

// maxHeld is how many events are held while it is not known whether their scenes differ.
const maxHeld = 4096

// printFile prints what is in a log that nobody writes. What is wrong with it is said, and
// is no failure where something could be read.
func (q *logQuery) printFile(ctx context.Context, path string, out, stderr io.Writer) error {
	l, err := edge.OpenLogFile(path)
	if err != nil {
		return err
	}
	var match *regexp.Regexp
	if q.Match != "" {
		match = regexp.MustCompile(q.Match) // it was compiled before
	}
	w := bufio.NewWriter(out)
	search := func(emit func(*wire.Event) error) error { return l.Search(ctx, &q.Search, match, emit) }
	if q.json || q.Scene != "" {
		show := q.printer(false)
		err = search(func(e *wire.Event) error { return show(w, e) })
	} else {
		err = q.printScenes(search, w)
	}
	if err = errors.Join(err, w.Flush()); l.Damaged() != nil {
		fmt.Fprintf(stderr, "edged log: the log is damaged (%v); this is what can be read of it\n", l.Damaged())
	}
	return err
}

// printScenes prints what search finds, with scenes where those are several. Who searches for few
// need not wait for that twice.
func (q *logQuery) printScenes(search func(emit func(*wire.Event) error) error, w io.Writer) error {
	var held []*wire.Event
	known := errors.New("known")
	several, scene := false, ""
	find := func(e *wire.Event) error {
		if several = e.Scene != "" && scene != "" && e.Scene != scene; several {
			return known
		}
		scene = cmp.Or(scene, e.Scene)
		if len(held) <= maxHeld {
			held = append(held, e)
		}
		return nil
	}
	err := search(find)
	if err != nil && err != known {
		return err
	}
	show := q.printer(several)
	if several || len(held) > maxHeld {
		return search(func(e *wire.Event) error { return show(w, e) })
	}
	for _, e := range held {
		if err := show(w, e); err != nil {
			return err
		}
	}
	return nil
}
