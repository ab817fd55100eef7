package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/wire"
)

// chooseDisplay picks pictures for people at a terminal that can show them, else
// lines.
func chooseDisplay(o demoFlags, stdout, stderr io.Writer) display {
	l := lines{out: stdout, err: &lockedWriter{w: stderr}, quiet: o.quiet}
	switch {
	case o.json:
		return &jsonLines{lines: l}
	case o.quiet:
		return &textLines{lines: l}
	}
	if f, ok := stdout.(*os.File); ok {
		if t, ok := openTerminal(f, os.Getenv); ok {
			return newTerminalView(t)
		}
	}
	return &textLines{lines: l}
}

// lines is what both line displays share.
type lines struct {
	out   io.Writer
	err   *lockedWriter
	quiet bool
	views []string
	scene string
}

func (l *lines) begin(d *demo, socket string) error {
	l.scene = d.config("").Scenes[0].Name
	for _, v := range d.views {
		l.views = append(l.views, v.Name)
	}
	return nil
}

func (l *lines) note(text string) { fmt.Fprintln(l.err, "edged demo: "+printable(text)) }

// lockedWriter lets notes come from any goroutine.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// jsonLines prints the objects of the command's contract.
type jsonLines struct{ lines }

type jsonCaption struct {
	Type  string       `json:"type"`
	Scene string       `json:"scene"`
	Frame uint64       `json:"frame"`
	Text  string       `json:"text"`
	Truth *string      `json:"truth,omitempty"`
	Views []string     `json:"views"`
	MS    jsonDuration `json:"ms"`
	Tags  []string     `json:"tags,omitempty"` // that a plugin gave it
}

type jsonAlert struct {
	Type   string   `json:"type"`
	Scene  string   `json:"scene"`
	Frame  int64    `json:"frame"`
	Text   string   `json:"text"`
	Tags   []string `json:"tags"`
	Plugin string   `json:"plugin"`
	View   string   `json:"view"` // that it is about; empty: none alone
}

type jsonDuration struct {
	Vision float64 `json:"vision"`
	Encode float64 `json:"encode"`
	Decode float64 `json:"decode"`
}

func milliseconds(m wire.StageMS) jsonDuration {
	return jsonDuration{round(m.Vision, 1e3), round(m.Encode, 1e3), round(m.Decode, 1e3)}
}

func (j *jsonLines) step(_ *edge.Step, c *verdict) error {
	if c == nil || j.quiet {
		return nil
	}
	l := jsonCaption{Type: "caption", Scene: j.scene, Frame: c.frame, Text: c.text, Views: c.views, MS: milliseconds(c.ms), Tags: c.tags}
	if c.known {
		l.Truth = &c.truth
	}
	return printJSON(j.out, l)
}

func (j *jsonLines) alert(e *wire.Event) error {
	if j.quiet {
		return nil
	}
	return printJSON(j.out, jsonAlert{e.Event, e.Scene, e.Frame, e.Text, append([]string{}, e.Tags...), e.Plugin, e.View})
}

func (j *jsonLines) end(s *summary) error {
	if s == nil {
		return nil
	}
	return printJSON(j.out, s)
}

// printJSON writes v as one line.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// textLines prints captions for people where there is no picture.
type textLines struct{ lines }

func (t *textLines) begin(d *demo, socket string) error {
	if err := t.lines.begin(d, socket); err != nil || t.quiet {
		return err
	}
	_, err := fmt.Fprintf(t.out, "watching %s; ask in another terminal: %s\n", strings.Join(t.views, " and "), askHint(socket))
	return err
}

func (t *textLines) step(_ *edge.Step, c *verdict) error {
	if c == nil || t.quiet {
		return nil
	}
	mark := ""
	switch {
	case c.exact:
		mark = "  (true)"
	case c.known:
		mark = "  (in truth: " + c.truth + ")"
	}
	_, err := fmt.Fprintf(t.out, "%5d  %s%s\n", c.frame, printable(c.text+tagged(c.tags)), mark)
	return err
}

func (t *textLines) alert(e *wire.Event) error {
	if t.quiet {
		return nil
	}
	_, err := fmt.Fprintf(t.out, "%5d  !! %s\n", e.Frame, printable(e.Text+tagged(e.Tags)))
	return err
}

func (t *textLines) end(s *summary) error {
	if s == nil {
		return nil
	}
	_, err := fmt.Fprintln(t.out, s)
	return err
}

// String says the same in a sentence.
func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d frame sets, %d captions", s.Frames, s.Captions)
	if s.Exact != nil {
		fmt.Fprintf(&b, ": %.1f %% exact, %.1f %% of the slots right", 100**s.Exact, 100**s.Slots)
	}
	if s.Skipped > 0 {
		fmt.Fprintf(&b, "; %d frames skipped", s.Skipped)
	}
	if s.BadPictures > 0 {
		fmt.Fprintf(&b, "; %d bad pictures", s.BadPictures)
	}
	fmt.Fprintf(&b, "; state %s, memory in use %s", size(s.StateBytes), size(s.RSSBytes))
	return b.String()
}

// size writes bytes for people.
func size(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}

// printable replaces what could move the cursor or worse: the text comes from a
// model, or from a file name.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		if unicode.IsSpace(r) {
			return ' '
		}
		return unicode.ReplacementChar
	}, s)
}

// round keeps the digits that mean something.
func round(v, scale float64) float64 { return float64(int64(v*scale+0.5)) / scale }
