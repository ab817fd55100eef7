package edge

import (
	"sync"

	"github.com/visualrwkv/edged/wire"
)

// hub hands events to watchers. It keeps no queue: a watcher's emit never waits
// (see [wire.Handler]), the bounded queue is the connection's.
type hub struct {
	mu       sync.Mutex
	seq      uint64
	watchers map[*watcher]struct{}
	closed   bool
}

type watcher struct {
	scene string // empty: all
	emit  func(*wire.Event) error
	done  chan struct{} // closed when the hub ends or emit failed
}

func newHub() *hub { return &hub{watchers: map[*watcher]struct{}{}} }

// publish numbers the event and hands it to everyone concerned.
func (h *hub) publish(e *wire.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.seq++
	e.Seq = h.seq
	for w := range h.watchers {
		if w.scene != "" && w.scene != e.Scene {
			continue
		}
		if err := w.emit(e); err != nil {
			delete(h.watchers, w)
			close(w.done)
		}
	}
}

// watch adds a watcher; its done is closed when there will be no more events.
func (h *hub) watch(scene string, emit func(*wire.Event) error) *watcher {
	w := &watcher{scene: scene, emit: emit, done: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(w.done)
		return w
	}
	h.watchers[w] = struct{}{}
	return w
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// close ends every watch. Events published later are lost.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		delete(h.watchers, w)
		close(w.done)
	}
}
