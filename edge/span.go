package edge

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/visualrwkv/edged/edge/journal"
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/wire"
)

// maxSpan bounds the captions that an answer about a span takes along.
const maxSpan = 64

// asksSpan returns what the question a, about the time since a.Since, adds to its text.
func (d *Daemon) asksSpan(s *scene, a *wire.Ask, text string) (func(context.Context, Model, *memory.Snapshot) (*wire.Span, string, error), error) {
	within := -time.Duration(max(a.Since, -maxAgo)) * time.Millisecond
	if a.Since > 0 {
		within = time.Since(time.UnixMilli(a.Since))
	}
	switch {
	case a.Diff != 0:
		return nil, wire.Errorf(wire.CodeRequest, "a question is about what was written since a moment, or about the difference to one: not both")
	case within <= 0:
		return nil, wire.Errorf(wire.CodeRequest, "since is not in the past")
	case d.hub.journal == nil:
		return nil, wire.Errorf(wire.CodeMissing, "this edged keeps no log, which a question about the time since a moment needs")
	}
	return func(ctx context.Context, m Model, snap *memory.Snapshot) (*wire.Span, string, error) {
		span, err := d.span(ctx, s, within, int64(snap.Frame))
		if err != nil {
			return nil, "", err
		}
		if m.Context() == 0 {
			return span, text, nil
		}
		asked, read := withCaptions(span.Captions, text, m.Context(), m.Tokens)
		if len(read) > 0 {
			span.Captions, span.Read = read, true
		}
		return span, asked, nil
	}, nil
}

// span returns the captions of a scene, in the first of its languages, that are no older
// than within, up to a frame set.
func (d *Daemon) span(ctx context.Context, s *scene, within time.Duration, last int64) (*wire.Span, error) {
	c := choice{every: 1}
	language := s.prompts()[0].Language
	for r, err := range d.hub.journal.Search(ctx, journal.Query{Within: within, Scene: s.cfg.Name, Kind: wire.EventCaption}) {
		if err != nil {
			return nil, err
		}
		if e := toEvent(r); e.Frame <= last && stands(e, language) {
			c.add(wire.CaptionLine{Time: e.Time, Frame: e.Frame, Text: e.Text})
		}
	}
	return &wire.Span{Captions: c.lines(), Logged: c.seen}, nil
}

// choice keeps few of many captions, evenly, and the newest.
type choice struct {
	kept   []wire.CaptionLine // every so many of those seen, from the first on
	every  int64
	seen   int64
	newest wire.CaptionLine
}

func (c *choice) add(l wire.CaptionLine) {
	if c.seen%c.every == 0 {
		if len(c.kept) == 2*maxSpan {
			for i := range maxSpan {
				c.kept[i] = c.kept[2*i]
			}
			c.kept = c.kept[:maxSpan]
			c.every *= 2
		}
		c.kept = append(c.kept, l)
	}
	c.newest = l
	c.seen++
}

// lines returns maxSpan captions at most, the oldest first.
func (c *choice) lines() []wire.CaptionLine {
	if c.seen > 0 && (c.seen-1)%c.every != 0 {
		c.kept = append(c.kept, c.newest)
	}
	return thin(c.kept, maxSpan)
}

// withCaptions puts captions before a question, the oldest first, each in a line of its own
// after its time: as many as so many tokens hold, of more an even choice with the newest.
// tokens counts those of a text. It also returns which captions those are: none, and the
// text is the question, where not one fits, or where a line has what the model cannot
// write.
func withCaptions(captions []wire.CaptionLine, question string, budget int, tokens func(string) (int, error)) (text string, read []wire.CaptionLine) {
	lines := written(captions)
	sizes := make([]int, len(lines))
	for i, l := range lines {
		var err error
		if sizes[i], err = tokens(l); err != nil {
			return question, nil
		}
	}
	all := make([]int, len(lines))
	for n := len(lines); n > 0; n-- {
		all = all[:len(lines)]
		for i := range all {
			all[i] = i
		}
		sum := 0
		for _, i := range thin(all, n) {
			sum += sizes[i]
		}
		if sum > budget {
			continue
		}
		var b strings.Builder
		for _, i := range all[:n] {
			b.WriteString(lines[i])
			read = append(read, captions[i])
		}
		b.WriteString(question)
		return b.String(), read
	}
	return question, nil
}

// written returns the lines of captions. Those of several days have the date too.
func written(captions []wire.CaptionLine) (lines []string) {
	layout := time.TimeOnly
	day := func(l wire.CaptionLine) string { return time.UnixMilli(l.Time).Format(time.DateOnly) }
	if slices.ContainsFunc(captions, func(l wire.CaptionLine) bool { return day(l) != day(captions[0]) }) {
		layout = time.DateTime
	}
	for _, c := range captions {
		lines = append(lines, time.UnixMilli(c.Time).Format(layout)+" "+c.Text+"\n")
	}
	return lines
}
