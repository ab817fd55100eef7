package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"time"

	"github.com/visualrwkv/edged/edge/journal"
	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/wire"
)

// Journal says where events are kept, and for how long. Zero fields are as
// [journal.Options] says.
type Journal struct {
	Dir      string // folder; empty: nowhere
	Mark     string // [journal.Options].Mark
	MaxBytes int64
	MaxAge   time.Duration
	Daily    int64
	Delay    time.Duration
}

// eventRest is what of an event has no place of its own in a record.
type eventRest struct {
	Frame int64         `json:"frame,omitempty"`
	Lang  string        `json:"lang,omitempty"`
	Views []string      `json:"views,omitempty"`
	View  string        `json:"view,omitempty"`
	State string        `json:"state,omitempty"`
	MS    *wire.StageMS `json:"ms,omitempty"`

	Tags   []string `json:"tags,omitempty"`
	Plugin string   `json:"plugin,omitempty"`
}

func toRecord(e *wire.Event) *journal.Record {
	data, err := json.Marshal(eventRest{e.Frame, e.Lang, e.Views, e.View, e.State, e.MS, e.Tags, e.Plugin})
	if err != nil {
		panic(fmt.Sprintf("edge: %v", err)) // numbers are finite
	}
	now := clock.System()
	now.Wall = time.UnixMilli(e.Time)
	return &journal.Record{Time: now, Kind: e.Event, Scene: e.Scene, Text: e.Text, Data: data}
}

// toEvent makes the event of a record of [toRecord]. What cannot be read of it is left
// out.
func toEvent(r *journal.Record) *wire.Event {
	var rest eventRest
	_ = json.Unmarshal(r.Data, &rest)
	return &wire.Event{
		Seq: r.Seq, Event: r.Kind, Scene: r.Scene, Time: r.Time.Wall.UnixMilli(), Text: r.Text,
		Frame: rest.Frame, Lang: rest.Lang, Views: rest.Views, View: rest.View, State: rest.State, MS: rest.MS,
		Tags: rest.Tags, Plugin: rest.Plugin,
	}
}

// openJournal opens the journal of the hub.
func (d *Daemon) openJournal(context.Context) error {
	c := d.cfg.Journal
	d.hub.mu.Lock() // a report waits until there is a journal
	defer d.hub.mu.Unlock()
	j, err := journal.Open(c.Dir, &journal.Options{
		Mark: c.Mark, Delay: c.Delay, MaxBytes: c.MaxBytes, MaxAge: c.MaxAge, Daily: c.Daily,
		Report: func(r journal.Report) {
			if d.cfg.Log != nil {
				d.cfg.Log(r.Text)
			}
			d.hub.publish(&wire.Event{Event: wire.EventState, State: wire.StateLog, Time: time.Now().UnixMilli(), Text: r.Text})
		},
	})
	d.hub.journal = j
	return err
}

// LimitLog sets [Journal].MaxBytes, MaxAge and Daily anew.
func (d *Daemon) LimitLog(maxBytes int64, maxAge time.Duration, daily int64) {
	if j := d.hub.journal; j != nil {
		j.Limit(maxBytes, maxAge, daily)
	}
}

func (d *Daemon) closeJournal() error { return d.hub.journal.Close() }

// logStatus is the part of the status about the journal.
func (d *Daemon) logStatus() *wire.LogStatus {
	if d.hub.journal == nil {
		return nil
	}
	s := d.hub.journal.Status()
	return &wire.LogStatus{
		Records: s.Records, Bytes: s.Bytes, First: s.First, Next: s.Next,
		Pending: int64(s.Pending), Lost: int64(s.Lost), Error: s.Error,
		MaxBytes: s.MaxBytes, MaxAgeMS: float64(s.MaxAge) / float64(time.Millisecond),
		Written: s.Written, Daily: s.Daily,
	}
}

// Search implements [wire.Handler].
func (d *Daemon) Search(ctx context.Context, s *wire.Search, match *regexp.Regexp, emit func(*wire.Event) error) (next uint64, err error) {
	if d.hub.journal == nil {
		return 0, wire.Errorf(wire.CodeMissing, "this edged keeps no log")
	}
	found := spoken(d.hub.journal.Search(ctx, query(s, match)), s.Lang)
	var lost int64
	if first := d.hub.journal.Oldest(); s.From > 0 && s.From < first {
		lost = int64(first - s.From)
	}
	if s.Newest {
		return 0, newest(found, s.Limit, emit)
	}
	n := int64(0)
	for r, err := range found {
		if err != nil {
			return 0, err
		}
		if n++; n > s.Limit {
			return r.Seq, nil
		}
		e := toEvent(r)
		e.Dropped, lost = lost, 0
		if err := emit(e); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// query is what a search asks the journal for.
func query(s *wire.Search, match *regexp.Regexp) journal.Query {
	return journal.Query{
		From: s.From, To: s.To, Within: time.Duration(s.Within * float64(time.Millisecond)),
		Scene: s.Scene, Kind: s.Event, Match: match,
	}
}

// spoken leaves out captions in another language than lang; empty: none.
func spoken(found iter.Seq2[*journal.Record, error], lang string) iter.Seq2[*journal.Record, error] {
	if lang == "" {
		return found
	}
	return func(yield func(*journal.Record, error) bool) {
		for r, err := range found {
			if err == nil && !speaks(toEvent(r), lang) {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// speaks reports whether an event is for who asks for captions in lang, empty being all.
// What is no caption is for everybody.
func speaks(e *wire.Event, lang string) bool {
	return lang == "" || e.Event != wire.EventCaption || e.Lang == lang
}

// stands reports whether a caption is one of those that stand for what a scene described
// in lang, of several the first, looked like. One from before there were languages is.
func stands(caption *wire.Event, lang string) bool {
	return caption.Lang == "" || speaks(caption, lang)
}

// maxBetween bounds the captions that come with an answer.
const maxBetween = 32

// between adds to the comparison of two memories the newest captions in lang written from the
// one to the other, where a log is kept. Numbers of frame sets say which those are.
func (d *Daemon) between(ctx context.Context, lang string, a *wire.Answer) error {
	if d.hub.journal == nil {
		return nil
	}
	c := a.Change
	// A caption is written after its frame set was seen: none of them is older than the
	// earlier memory, but for the time since that age was read. How long the device was off
	// may not be known.
	within := time.Duration(c.AgeMS*float64(time.Millisecond)) + time.Minute
	if within > clock.System().Up {
		within += time.Hour
	}
	for r, err := range d.hub.journal.Search(ctx, journal.Query{Within: within, Scene: a.Scene, Kind: wire.EventCaption}) {
		if err != nil {
			return err
		}
		e := toEvent(r)
		if e.Frame <= c.Frame || e.Frame > a.Frame || !stands(e, lang) {
			continue
		}
		if len(c.Captions) == maxBetween {
			c.Captions = append(c.Captions[:0], c.Captions[1:]...)
			c.More++
		}
		c.Captions = append(c.Captions, wire.CaptionLine{Time: e.Time, Frame: e.Frame, Text: e.Text})
	}
	return nil
}

// newest emits the last limit of what was found.
func newest(found iter.Seq2[*journal.Record, error], limit int64, emit func(*wire.Event) error) error {
	ring := make([]*journal.Record, limit)
	n := int64(0)
	for r, err := range found {
		if err != nil {
			return err
		}
		ring[n%limit] = r
		n++
	}
	for i := max(0, n-limit); i < n; i++ {
		if err := emit(toEvent(ring[i%limit])); err != nil {
			return err
		}
	}
	return nil
}
