package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

const logAbout = `Prints captions and events that a running edged has kept, the oldest first.`

// logMain is "edged log".
func logMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("log", "[flags]", logAbout)
	socket := fs.String("socket", "", socketHelp)
	scene := fs.String("scene", "", "`name` of the scene (default: all)")
	since := fs.String("since", "", "no older than this `duration`, such as 90s, 1h30m or 2d")
	grep := fs.String("grep", "", "whose text matches this `regexp`; (?i) in front ignores case")
	n := fs.Int64("n", 0, "the newest so `many` of them, up to "+strconv.Itoa(wire.MaxFound))
	asJSON := fs.Bool("json", false, "print one JSON object per event")
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	s := &wire.Search{Scene: *scene, Match: *grep, Limit: *n, Newest: *n > 0}
	var err error
	switch {
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case *n < 0 || *n > wire.MaxFound:
		err = fmt.Errorf("-n: %d is not from 1 to %d", *n, wire.MaxFound)
	case *since != "":
		d, ok := parseAgo(*since)
		if !ok || d == 0 {
			err = fmt.Errorf("-since: %q is no duration such as 90s, 1h30m or 2d", *since)
		}
		s.Within = float64(d) / float64(time.Millisecond)
	}
	if err == nil {
		_, err = regexp.Compile(*grep)
	}
	if err != nil {
		return wrongUse(fs, stderr, err.Error())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := printLog(ctx, socketPath(*socket), s, *asJSON, stdout); err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "edged log:", err)
		return exitFailed
	}
	return exitOK
}

func printLog(ctx context.Context, path string, s *wire.Search, asJSON bool, out io.Writer) error {
	c, err := client.Dial(ctx, path, &client.Options{Name: "edged log"})
	if err != nil {
		return err
	}
	defer c.Close()
	w := bufio.NewWriter(out)
	show := eventPrinter(time.DateTime, s.Scene == "" && len(c.Server().Scenes) > 1)
	if asJSON {
		show = printEventJSON
	}
	for e, err := range c.Search(ctx, s) {
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
		if err := show(w, e); err != nil {
			return err
		}
	}
	return w.Flush()
}
