package edge

import (
	"context"
	"sync"
	"time"

	"github.com/visualrwkv/edged/edge/journal"
	"github.com/visualrwkv/edged/wire"
)

// hubRing is how many of the newest events are at hand for watchers.
const hubRing = 1024

// hub numbers events and hands them to watchers. It holds the newest ones; each
// watcher reads them at its own pace from a goroutine of its own, and what it is too
// late for it reads from the journal, if there is one.
type hub struct {
	mu      sync.Mutex       // guards what follows; the journal, whose own lock is taken with it held, reports with none
	journal *journal.Journal // nil: events are not kept
	ring    [hubRing]*wire.Event
	count   uint64        // of events published; the newest is ring[(count-1)%hubRing]
	grown   chan struct{} // closed when there are more or the hub ends, and replaced
	closed  bool
	watches sync.WaitGroup // those that began before the hub was closed
}

func newHub() *hub { return &hub{grown: make(chan struct{})} }

// publish numbers an event and lets watchers know of it. It waits for nobody. The
// event belongs to the hub from now on.
func (h *hub) publish(e *wire.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	if h.journal != nil {
		e.Seq = h.journal.Append(toRecord(e))
	} else {
		e.Seq = h.count + 1
	}
	h.ring[h.count%hubRing] = e
	h.count++
	h.announce()
}

// announce is called with mu held.
func (h *hub) announce() {
	close(h.grown)
	h.grown = make(chan struct{})
}

// close ends every watch once it has had what was published, and waits for that for
// half a second at most. Events published later are lost.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	h.announce()
	h.mu.Unlock()
	timer := time.NewTimer(500 * time.Millisecond)
	defer timer.Stop()
	ended := make(chan struct{})
	go func() { h.watches.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-timer.C:
	}
}

// after appends the events behind the first at of all published. late counts those
// that are no longer at hand. When there is nothing new, grown tells of more, and
// closed that there will be no more.
func (h *hub) after(at uint64, events []*wire.Event) (_ []*wire.Event, late uint64, grown chan struct{}, closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if oldest := h.count - min(h.count, hubRing); at < oldest {
		late, at = oldest-at, oldest
	}
	for ; at < h.count; at++ {
		events = append(events, h.ring[at%hubRing])
	}
	return events, late, h.grown, h.closed
}

// now is how many events there have been, and the sequence number of the next, 0 if
// that is not known.
func (h *hub) now() (count, next uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.journal != nil {
		return h.count, h.journal.Next()
	}
	return h.count, h.count + 1
}

// watch calls emit for each event that what asks for, until ctx ends, emit fails or there
// will be no more.
func (h *hub) watch(ctx context.Context, what *wire.Watch, emit func(*wire.Event) error) error {
	w := watcher{hub: h, scene: what.Scene, lang: what.Lang, emit: emit}
	leave := h.enter()
	defer leave()
	if w.at, w.next = h.now(); what.From > 0 {
		w.from(what.From)
		if err := w.replay(ctx); err != nil {
			return err
		}
	}
	var events []*wire.Event
	for {
		var late uint64
		var grown chan struct{}
		var closed bool
		events, late, grown, closed = h.after(w.at, events[:0])
		if late > 0 && w.next > 0 && h.journal != nil {
			w.at += late + uint64(len(events))
			if err := w.replay(ctx); err != nil {
				return err
			}
			continue
		}
		w.lost += int64(late)
		w.at += late + uint64(len(events))
		for _, e := range events {
			if err := w.pass(e); err != nil {
				return err
			}
		}
		if len(events) > 0 {
			continue
		}
		if closed {
			return wire.Errorf(wire.CodeClosing, "the daemon is stopping")
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enter counts a watch until it leaves, unless the hub is closed.
func (h *hub) enter() (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return func() {}
	}
	h.watches.Add(1)
	return h.watches.Done
}

// watcher is one watch: it has had the first at of the events published, and those
// with sequence numbers below next.
type watcher struct {
	hub   *hub
	scene string // empty: all
	lang  string // of captions; empty: any
	emit  func(*wire.Event) error
	at    uint64
	next  uint64
	lost  int64 // events left out since the last that was emitted
}

// from has the watch go on at a sequence number. One that is farther than numbers have gone is of
// a log that was lost: then all that there is comes, and that something is missing is said.
func (w *watcher) from(seq uint64) {
	if w.next > 0 && seq > w.next {
		w.next, w.lost = 1, 1
		return
	}
	w.next = seq
}

// pass emits an event, unless it is of another scene, in another language, or was emitted.
func (w *watcher) pass(e *wire.Event) error {
	if e.Seq > 0 {
		if e.Seq < w.next {
			return nil
		}
		w.next = e.Seq + 1
	}
	if w.scene != "" && w.scene != e.Scene || !speaks(e, w.lang) {
		return nil
	}
	own := *e
	own.Dropped, w.lost = w.lost, 0
	return w.emit(&own)
}

// replay emits what is kept from next on: from the journal, or else from what is
// at hand. Everything that was published before is among that, and perhaps more.
func (w *watcher) replay(ctx context.Context) error {
	h := w.hub
	if h.journal == nil {
		events, late, _, _ := h.after(0, nil)
		if w.next <= late {
			w.lost += int64(late + 1 - w.next)
		}
		for _, e := range events {
			if err := w.pass(e); err != nil {
				return err
			}
		}
		return nil
	}
	if first := h.journal.Oldest(); w.next < first {
		w.lost += int64(first - w.next)
	}
	for r, err := range h.journal.Search(ctx, journal.Query{From: w.next}) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // what waits for the disk has been passed, the rest cannot be had
			return nil
		}
		if err := w.pass(toEvent(r)); err != nil {
			return err
		}
	}
	return nil
}
