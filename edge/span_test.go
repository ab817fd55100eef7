package edge

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/wire"
)

// TestAskSpan: a question about a span has the captions of that time with its answer, and a
// model that reads captions has them before the question.
func TestAskSpan(t *testing.T) {
	w := newWatching(t)
	w.journal = filepath.Join(t.TempDir(), "log")
	d := w.watch(0, 80, nil)
	ask := func(a *wire.Ask) *wire.Answer {
		t.Helper()
		r, err := d.Ask(t.Context(), a, func(string) error { return nil })
		if err != nil || r.Span == nil {
			t.Fatalf("%+v, %v", r, err)
		}
		return r
	}
	a := ask(&wire.Ask{Question: "q", Since: -3600_000})
	if a.Text != "q "+saying(0, 80) || a.Span.Read || a.Span.Logged != 80 || len(a.Span.Captions) != maxSpan || a.Span.Captions[maxSpan-1].Text != saying(0, 80) {
		t.Errorf("%+v", a)
	}
	// Of the past: nothing that came later.
	a = ask(&wire.Ask{Question: "q", At: -20_000, Since: time.Now().Add(-time.Hour).UnixMilli()})
	if c := a.Span.Captions; a.Frame >= 80 || a.Span.Logged != a.Frame || c[len(c)-1].Frame != a.Frame {
		t.Errorf("%+v", a)
	}
	w.m.context = 9 // time and caption are two words
	a = ask(&wire.Ask{Question: "q", Since: -3600_000})
	var want strings.Builder
	for _, c := range a.Span.Captions {
		fmt.Fprintf(&want, "%s %s\n", time.UnixMilli(c.Time).Format(time.TimeOnly), c.Text)
	}
	if len(a.Span.Captions) != 4 || !a.Span.Read || a.Span.Logged != 80 || a.Text != want.String()+"q "+saying(0, 80) {
		t.Errorf("%+v, want %q", a, want.String())
	}
	w.m.context = 1
	if a = ask(&wire.Ask{Question: "q", Since: -3600_000}); a.Span.Read || len(a.Span.Captions) != maxSpan || a.Text != "q "+saying(0, 80) {
		t.Errorf("%+v", a)
	}
	for _, bad := range []*wire.Ask{
		{Question: "q", Since: -1000, Diff: -1000},
		{Question: "q", Since: time.Now().Add(time.Hour).UnixMilli()},
	} {
		if _, err := d.Ask(t.Context(), bad, nil); wire.Code(err) != wire.CodeRequest {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	d.Close()

	d = newWatching(t).watch(0, 2, nil)
	if _, err := d.Ask(t.Context(), &wire.Ask{Question: "q", Since: -1000}, nil); wire.Code(err) != wire.CodeMissing {
		t.Errorf("without a log: %v", err)
	}
}

func TestWithCaptions(t *testing.T) {
	day := time.Date(2026, 3, 1, 23, 59, 58, 0, time.Local)
	var all []wire.CaptionLine
	for i := range 4 {
		all = append(all, wire.CaptionLine{Time: day.Add(time.Duration(i) * time.Second).UnixMilli(), Frame: int64(i), Text: fmt.Sprintf("seen %c", 'a'+i)})
	}
	for _, c := range []struct {
		from, to int
		budget   int
		unknown  string
		want     string
		read     []int64
	}{
		{0, 2, 6, "", "23:59:58 seen a\n23:59:59 seen b\nq", []int64{0, 1}},
		{0, 2, 5, "", "23:59:59 seen b\nq", []int64{1}},
		{0, 2, 2, "", "q", nil},
		{0, 2, 0, "", "q", nil},
		{0, 0, 9, "", "q", nil},
		{0, 4, 99, "", "2026-03-01 23:59:58 seen a\n2026-03-01 23:59:59 seen b\n2026-03-02 00:00:00 seen c\n2026-03-02 00:00:01 seen d\nq", []int64{0, 1, 2, 3}},
		{0, 4, 8, "", "2026-03-01 23:59:59 seen b\n2026-03-02 00:00:01 seen d\nq", []int64{1, 3}},
		{0, 4, 99, "0123456789", "q", nil},
		{0, 4, 99, "c", "q", nil},
	} {
		m := &fakeModel{unknown: c.unknown}
		text, read := withCaptions(all[c.from:c.to], "q", c.budget, m.Tokens)
		var frames []int64
		for _, l := range read {
			frames = append(frames, l.Frame)
		}
		if text != c.want || !slices.Equal(frames, c.read) {
			t.Errorf("%d-%d in %d tokens without %q: %q, %v, want %q, %v", c.from, c.to, c.budget, c.unknown, text, frames, c.want, c.read)
		}
	}
}

// TestChoice: however many captions there are, few are kept, evenly, and the newest.
func TestChoice(t *testing.T) {
	for _, n := range []int64{0, 1, 63, 64, 65, 127, 128, 129, 200, 1000, 12345} {
		c := choice{every: 1}
		for i := range n {
			c.add(wire.CaptionLine{Frame: i})
			if len(c.kept) > 2*maxSpan {
				t.Fatalf("%d are kept of %d", len(c.kept), i+1)
			}
		}
		got := c.lines()
		if c.seen != n || len(got) > maxSpan || int64(len(got)) < min(n, maxSpan) {
			t.Fatalf("%d of %d", len(got), n)
		}
		if n > 0 && got[len(got)-1].Frame != n-1 {
			t.Errorf("of %d the newest is %d", n, got[len(got)-1].Frame)
		}
		for i := 1; i < len(got); i++ {
			if gap := got[i].Frame - got[i-1].Frame; gap < 1 || n > 2*maxSpan && gap > 4*n/maxSpan {
				t.Errorf("of %d, %d follows %d", n, got[i].Frame, got[i-1].Frame)
			}
		}
	}
}
