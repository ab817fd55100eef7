package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/wire"
)

const watchAbout = `Prints the captions of a running edged (or edged demo) as they are written, and what
else happens: -- begins lines about cameras and scenes, !! alerts of plugins. Goes on
until Ctrl-C or until the daemon stops.`

type jsonEvent struct {
	Type    string        `json:"type"` // caption, alert or state
	Seq     uint64        `json:"seq"`
	Scene   string        `json:"scene"`
	Time    time.Time     `json:"time"`
	Frame   int64         `json:"frame,omitempty"`
	Text    string        `json:"text"`
	Lang    string        `json:"lang,omitempty"` // of a caption, where the configuration gives its language
	Views   []string      `json:"views,omitempty"`
	View    string        `json:"view,omitempty"`
	State   string        `json:"state,omitempty"`
	MS      *jsonDuration `json:"ms,omitempty"`
	Dropped int64         `json:"dropped,omitempty"` // events lost just before this one
	Tags    []string      `json:"tags,omitempty"`    // of a caption or alert
	Plugin  string        `json:"plugin,omitempty"`  // whose alert it is
}

// watchMain is "edged watch".
func watchMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("watch", "[flags]", watchAbout)
	socket := fs.String("socket", "", socketHelp)
	scene := fs.String("scene", "", "`name` of the scene (default: all)")
	from := fs.Uint64("from", 0, "begin with the event of this sequence `number`, as -json prints it, instead of now")
	lang := fs.String("lang", "", "of captions only those in this `language` of the configuration (default: all)")
	asJSON := fs.Bool("json", false, "print one JSON object per event")
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	if fs.NArg() > 0 {
		return wrongUse(fs, stderr, fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := watch(ctx, socketPath(*socket), &wire.Watch{Scene: *scene, From: *from, Lang: *lang}, *asJSON, stdout); err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "edged watch:", err)
		return exitFailed
	}
	return exitOK
}

// watch prints events until the server says that it stops, which is no error.
func watch(ctx context.Context, path string, w *wire.Watch, asJSON bool, out io.Writer) error {
	c, err := dial(ctx, path, "edged watch")
	if err != nil {
		return err
	}
	defer c.Close()
	show := eventPrinter(time.TimeOnly, w.Scene == "" && len(c.Server().Scenes) > 1, w.Lang == "")
	if asJSON {
		show = printEventJSON
	}
	for e, err := range c.Watch(ctx, w) {
		if err != nil {
			if wire.Code(err) == wire.CodeClosing {
				return nil
			}
			return err
		}
		if err := show(out, e); err != nil {
			return err
		}
	}
	return nil
}

func printEventJSON(out io.Writer, e *wire.Event) error {
	j := jsonEvent{
		Type: e.Event, Seq: e.Seq, Scene: e.Scene, Time: time.UnixMilli(e.Time), Frame: e.Frame, Text: e.Text, Lang: e.Lang,
		Views: e.Views, View: e.View, State: e.State, Dropped: e.Dropped, Tags: e.Tags, Plugin: e.Plugin,
	}
	if e.MS != nil {
		ms := milliseconds(*e.MS)
		j.MS = &ms
	}
	return printJSON(out, j)
}

// eventPrinter prints events for people, with times of the given layout, their scenes and
// languages where those do not go without saying.
func eventPrinter(layout string, withScene, withLang bool) func(io.Writer, *wire.Event) error {
	return func(out io.Writer, e *wire.Event) error {
		if e.Dropped > 0 {
			if _, err := fmt.Fprintf(out, "%*s  (%d events lost)\n", len(layout), "", e.Dropped); err != nil {
				return err
			}
		}
		line := time.UnixMilli(e.Time).Format(layout) + "  "
		if withScene && e.Scene != "" {
			line += printable(e.Scene) + "  "
		}
		if withLang && e.Lang != "" {
			line += printable(e.Lang) + "  "
		}
		switch e.Event {
		case wire.EventCaption:
		case wire.EventAlert:
			line += "!! "
		default:
			line += "-- "
		}
		_, err := fmt.Fprintln(out, line+printable(e.Text+tagged(e.Tags)))
		return err
	}
}

// tagged is what follows a text that has tags.
func tagged(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	return "  [" + strings.Join(tags, ", ") + "]"
}
