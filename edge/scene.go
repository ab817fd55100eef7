package edge

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/wire"
)

// scene owns the live stream: one goroutine takes frame sets, sees them and
// writes captions.
type scene struct {
	cfg    *Config
	hub    *hub
	views  []*view
	names  []string
	stream Stream
	sets   *collector
	gate   *gate
	images []image.Image // of the set in work

	done chan struct{}
	err  error // valid when done is closed

	newest atomic.Pointer[snapshot]

	mu     sync.Mutex
	counts Stats
	status wire.SceneStatus
}

// snapshot is a memory as it was after a frame set.
type snapshot struct {
	memory []byte
	number uint64
	time   time.Time
}

func newScene(cfg *Config, h *hub) (*scene, error) {
	stream, err := cfg.Model.NewStream()
	if err != nil {
		return nil, err
	}
	s := &scene{
		cfg: cfg, hub: h, done: make(chan struct{}),
		stream: stream,
		gate:   newGate(cfg.Gate, len(cfg.Views)),
	}
	var boxes []*Mailbox[camera.Frame]
	for _, v := range cfg.Views {
		w := newView(v, cfg.LockStep)
		s.views = append(s.views, w)
		s.names = append(s.names, v.Name)
		boxes = append(boxes, w.box)
	}
	s.sets = newCollector(boxes, cfg.MaxSkew)
	s.status.Name = cfg.Scene
	return s, nil
}

func (s *scene) start(ctx context.Context) error {
	go func() {
		s.event(&wire.Event{Event: wire.EventState, State: wire.StateWatching, Text: "watching " + strings.Join(s.names, ", "), Views: s.names})
		err := s.run(ctx)
		text := "stopped"
		switch {
		case errors.Is(err, io.EOF):
			text, err = "no more pictures", nil
		case ctx.Err() != nil:
			err = nil
		case err != nil:
			text = err.Error()
		}
		s.event(&wire.Event{Event: wire.EventState, State: wire.StateStopped, Text: text})
		s.err = err
		close(s.done)
	}()
	return nil
}

// stop waits for the frame set in work; the context of start makes it short.
func (s *scene) stop() error {
	<-s.done
	return nil
}

func (s *scene) run(ctx context.Context) error {
	for s.cfg.Frames == 0 || s.sets.number < s.cfg.Frames {
		set, err := s.sets.next(ctx)
		if err != nil {
			return err
		}
		err = s.step(ctx, set)
		set.release()
		if err != nil {
			return fmt.Errorf("frame set %d: %w", set.Number, err)
		}
	}
	return nil
}

// step sees one frame set and writes a caption if there is something to say.
func (s *scene) step(ctx context.Context, set *FrameSet) error {
	s.images = set.Images(s.images[:0])
	vision, encode, err := s.stream.See(ctx, s.images)
	if err != nil {
		return err
	}
	snap := &snapshot{memory: s.stream.Snapshot(), number: set.Number, time: set.Time}
	s.newest.Store(snap)
	step := Step{Set: set, MS: wire.StageMS{Vision: ms(vision), Encode: ms(encode)}, State: int64(len(snap.memory))}
	open := s.gate.open(s.images, s.stream.ImageState)
	clear(s.images)
	if open {
		start := time.Now()
		if step.Text, err = gather(s.stream.Caption(ctx)); err != nil {
			return fmt.Errorf("caption: %w", err)
		}
		step.MS.Decode = ms(time.Since(start))
	}
	s.account(&step, open)
	if step.New {
		m := step.MS
		s.event(&wire.Event{Event: wire.EventCaption, Time: set.Time.UnixMilli(), Frame: int64(set.Number), Text: step.Text, Views: s.names, MS: &m})
	}
	if s.cfg.Observe != nil {
		s.cfg.Observe(&step)
	}
	return nil
}

// account counts the step and decides whether its text is news.
func (s *scene) account(step *Step, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Frames++
	s.counts.Memory = step.State
	s.status.MS = step.MS
	switch {
	case !open:
		s.counts.Gated++
	case s.counts.Captions > 0 && step.Text == s.status.Caption:
		s.counts.Repeated++
	default:
		step.New = true
		s.counts.Captions++
		s.status.Caption, s.status.CaptionTime = step.Text, step.Set.Time.UnixMilli()
	}
}

func (s *scene) event(e *wire.Event) {
	e.Scene = s.cfg.Scene
	if e.Time == 0 {
		e.Time = time.Now().UnixMilli()
	}
	s.hub.publish(e)
}

func (s *scene) stats() Stats {
	s.mu.Lock()
	c := s.counts
	s.mu.Unlock()
	for _, v := range s.views {
		c.Skipped += v.box.Skipped() + v.late.Load()
	}
	c.Skipped += s.sets.unmatched.Load()
	c.Damaged = s.sets.damaged.Load()
	return c
}

// report is the scene's part of the daemon's status.
func (s *scene) report() wire.SceneStatus {
	c := s.stats()
	s.mu.Lock()
	st := s.status
	s.mu.Unlock()
	st.Frames, st.Skipped, st.Captions = int64(c.Frames), int64(c.Skipped), int64(c.Captions)
	for _, v := range s.views {
		st.Views = append(st.Views, v.report())
	}
	return st
}

// gather joins the pieces of a text and strips it.
func gather(pieces func(func(string, error) bool)) (string, error) {
	var b strings.Builder
	for p, err := range pieces {
		if err != nil {
			return "", err
		}
		b.WriteString(p)
	}
	return strings.TrimSpace(b.String()), nil
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
