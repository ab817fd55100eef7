package edge

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/wire"
)

// TestNothingToSay: a scene is described once by a text of nothing, which is no news from then on; what is
// new in another language does not make the caption of the first newer.
func TestNothingToSay(t *testing.T) {
	const nothing, n = " ", 4
	d := start(t, Config{
		Model:  &fakeModel{fixed: nothing},
		Scenes: []Scene{{Views: views(newFilm(n)), LockStep: true, Gate: Gate{Pixels: -1}, Prompts: []Prompt{{"en", nothing}, {"de", "was?"}}}},
	})
	<-d.Done()
	var got []string
	err := d.Watch(t.Context(), &wire.Watch{From: 1}, func(e *wire.Event) error {
		switch {
		case e.Event == wire.EventCaption:
			got = append(got, fmt.Sprint(e.Frame, " ", e.Lang, " ", e.Text))
		case e.State == wire.StateStopped:
			return io.EOF
		}
		return nil
	})
	want := []string{"1 en "}
	for i := range uint64(n) {
		want = append(want, fmt.Sprint(i+1, " de was? ", saying(0, i+1)))
	}
	if err != io.EOF || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if st := d.scenes[0].report(); st.Caption != "" || st.CaptionTime != newFilm(n).start.UnixMilli() || st.Captions != n {
		t.Errorf("%+v", st)
	}
}

// TestLanguages: a change is described in every language of its scene, in their order and
// from the same memory, but where the text says the same as before in its language; and
// whoever asks for one language has no captions in another.
func TestLanguages(t *testing.T) {
	const n = 4
	dir := filepath.Join(t.TempDir(), "log")
	d, err := New(Config{
		Model: &fakeModel{fixed: "wat?"}, Journal: Journal{Dir: dir},
		Scenes: []Scene{{
			Views: views(newFilm(n)), LockStep: true, Gate: Gate{Pixels: -1},
			Prompts: []Prompt{{Language: "en"}, {"de", "was?"}, {"nl", "wat?"}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-d.Done()

	lines := map[string][]string{} // by language, "" being all
	for i := range uint64(n) {
		own := saying(0, i+1)
		if frame := fmt.Sprint(i + 1); i == 0 {
			lines[""] = append(lines[""], frame+" en "+own, frame+" de was? "+own, frame+" nl wat?")
			lines["nl"] = append(lines["nl"], frame+" nl wat?")
		} else {
			lines[""] = append(lines[""], frame+" en "+own, frame+" de was? "+own)
		}
		lines["de"] = append(lines["de"], fmt.Sprint(i+1, " de was? ", own))
	}
	for lang, want := range lines {
		var got []string
		states := 0
		take := func(e *wire.Event) error {
			switch {
			case e.Event == wire.EventCaption:
				got = append(got, fmt.Sprint(e.Frame, " ", e.Lang, " ", e.Text))
			case e.State == wire.StateStopped:
				return io.EOF
			case e.State == wire.StateWatching:
				states++
			}
			return nil
		}
		check := func(how string, err error) {
			t.Helper()
			if err != io.EOF || states != 1 || !slices.Equal(got, want) {
				t.Errorf("%s in %q: %v, %d beginnings,\n%q, want\n%q", how, lang, err, states, got, want)
			}
			got, states = nil, 0
		}
		check("watch", d.Watch(t.Context(), &wire.Watch{From: 1, Lang: lang}, take))
		s := wire.Search{Lang: lang, Limit: 2}
		for err, more := error(nil), true; more; more = err == nil && s.From > 0 {
			if s.From, err = d.Search(t.Context(), &s, nil, take); err != nil {
				check("search", err)
			}
		}
		s = wire.Search{Lang: lang, Limit: 1, Event: wire.EventCaption, Newest: true}
		if _, err := d.Search(t.Context(), &s, nil, take); err != nil || len(got) != 1 || got[0] != want[len(want)-1] {
			t.Errorf("the newest in %q: %q, %v", lang, got, err)
		}
	}

	if s, err := d.Scenes(t.Context()); err != nil || !slices.Equal(s.Scenes[0].Langs, []string{"en", "de", "nl"}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s := d.Stats(); s.Captions != n || s.Repeated != 0 {
		t.Errorf("%+v", s)
	}
	if st, err := d.Status(t.Context()); err != nil || st.Scenes[0].Captions != n || st.Scenes[0].Caption != saying(0, n) || !slices.Equal(st.Scenes[0].Langs, []string{"en", "de", "nl"}) {
		t.Errorf("%+v, %v", st, err)
	}
	a, err := d.Ask(t.Context(), &wire.Ask{Question: "q", Since: -3600_000}, func(string) error { return nil })
	if err != nil || a.Span.Logged != n || a.Span.Captions[n-1].Text != saying(0, n) {
		t.Errorf("%+v, %v", a, err)
	}
	err = d.Watch(t.Context(), &wire.Watch{Lang: "fr"}, nil)
	if wire.Code(err) != wire.CodeRequest || !strings.Contains(err.Error(), `no captions in "fr"; there are some in "de", "en", "nl"`) {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLogFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	if err := l.Search(t.Context(), &wire.Search{Lang: "nl", Event: wire.EventCaption}, nil, func(e *wire.Event) error {
		left = append(left, e.Text)
		return nil
	}); err != nil || !slices.Equal(left, []string{"wat?"}) {
		t.Errorf("%q, %v", left, err)
	}
}

// TestLanguagesTogether: captions that are not finished in every language are published in
// none.
func TestLanguagesTogether(t *testing.T) {
	writing := make(chan struct{}, 8)
	m := &fakeModel{think: func(ctx context.Context) error {
		writing <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	d, err := New(Config{
		Model: m, Journal: Journal{Dir: t.TempDir()},
		Scenes: []Scene{{Views: views(newFilm(3)), LockStep: true, Prompts: []Prompt{{Language: "en"}, {"de", "was?"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	captions := watchAll(t, d)
	<-writing // in German; what it says in English is known
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if got := captions(); len(got) > 0 || d.Stats().Captions > 0 {
		t.Errorf("%q, %+v", got, d.Stats())
	}
}

func TestLanguagesDiffer(t *testing.T) {
	_, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(newFilm(1)), Prompts: []Prompt{{Language: "de"}, {"de", "was?"}}}}})
	if err == nil || !strings.Contains(err.Error(), `two prompts for captions in the language "de"`) {
		t.Error(err)
	}
}

// TestCaptionPlaces: scenes that write several texts get all of their places or none, one
// after the other.
func TestCaptionPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(func() float64 { return 1 })
		first, err := turns.caption(t.Context(), captionsTogether-1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() {
			_, err := turns.caption(ctx, 2)
			gaveUp <- err
		}()
		var all, one func()
		go func() { time.Sleep(time.Second); all, _ = turns.caption(t.Context(), captionsTogether+1) }()
		go func() { time.Sleep(2 * time.Second); one, _ = turns.caption(t.Context(), 1) }()
		time.Sleep(3 * time.Second)
		cancel()
		if err := <-gaveUp; err != context.Canceled {
			t.Error(err)
		}
		if synctest.Wait(); all != nil || one != nil {
			t.Error("more texts than places")
		}
		first()
		if synctest.Wait(); all == nil || one != nil {
			t.Error("not in the order in which they came")
		}
		all()
		if synctest.Wait(); one == nil {
			t.Error("places were lost")
		}
		one()
	})
}
