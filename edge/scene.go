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
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/wire"
)

// scene owns the live stream: one goroutine takes frame sets, sees them and
// writes captions.
type scene struct {
	cfg    Scene // what of it [Daemon.Exchange] may change is changed with hand and mu held
	hub    *hub
	turns  *turns
	work   *inference
	model  *engine // nil once the scene has ended for good; changed with hand and keeps held
	guard  *watchdog.Watchdog
	pulse  *watchdog.Pulse // of the frame set in hand; guard watches it while the scene runs
	log    func(string)
	uptime func() time.Duration // of the daemon
	ended  func(*scene)         // told once the scene is done
	views  []*view
	names  []string
	mind   *memories
	sets   *collector
	gate   *gate
	images []image.Image // of the set in work
	plugs  plugins

	unasked bool     // in lock step: the set in hand has pictures that no plugin was asked about
	asks    []string // the questions of cfg.Prompts, of which there is one at least
	said    []string // the newest caption for each; valid once there is one

	looked time.Time     // when the newest set was taken
	look   time.Duration // that it took to see it
	spoken time.Time     // when the newest caption was written
	owed   bool          // the gate opened, and there is no caption yet

	saw     time.Time // when the newest look began
	sawBy   string    // the model of it; empty before the first
	changed bool      // there is another model since

	hand  chan struct{} // holds a token while what the stream's goroutine owns is in use
	nudge chan struct{} // holds a token when the next frame set is wanted at once

	paused atomic.Bool // frame sets are taken and not looked at

	cancel context.CancelFunc // nil before start
	done   chan struct{}
	err    error // valid when done is closed

	newest atomic.Pointer[memory.Snapshot]
	store  atomic.Pointer[memory.Store] // nil until the scene has begun
	keeps  sync.Mutex                   // held while newest is replaced
	forget atomic.Bool                  // what the stream remembers is to be forgotten

	mu     sync.Mutex
	counts Stats
	status wire.SceneStatus
	taken  time.Time // of the newest frame set in the memory
}

func newScene(cfg Scene, d *Daemon) (*scene, error) {
	s := &scene{
		cfg: cfg, hub: d.hub, turns: d.turns, work: d.work, guard: d.cfg.Watchdog, log: d.cfg.Log, ended: d.sceneEnded, done: make(chan struct{}),
		hand: make(chan struct{}, 1), nudge: make(chan struct{}, 1), uptime: d.uptime,
	}
	s.gate = newGate(cfg.Gate.with(d.model), len(cfg.Views))
	filled := make(chan struct{}, 1)
	for _, v := range cfg.Views {
		w := newView(v, cfg.LockStep, filled, s.viewChanged)
		w.guard, w.guarded = s.guard, "capture of "+cfg.Name+"/"+v.Name
		if !cfg.LockStep {
			w.asks = &asking{scene: s, view: len(s.views)}
		}
		s.views = append(s.views, w)
		s.names = append(s.names, v.Name)
	}
	s.sets = newCollector(&cfg, s.views, filled)
	s.sets.asked = &s.plugs.generation
	s.plugs.wanted = cfg.Plugins
	if cfg.LockStep { // each picture is for one set
		s.sets.shows = s.shows
	}
	if len(cfg.Prompts) == 0 {
		s.cfg.Prompts = []Prompt{{}}
	}
	s.asked()
	s.status.Name, s.status.State = cfg.Name, wire.StateWatching
	s.cfg.Snapshots.Scene, s.cfg.Snapshots.Model, s.cfg.Snapshots.Report = cfg.Name, d.model.hash, s.remark
	var err error
	if s.mind, err = newMemories(d.model, cfg.Window, s.remark); err != nil {
		return nil, err
	}
	if m := cfg.Memory; m != nil {
		if err := s.mind.restore(m); err != nil {
			return nil, fmt.Errorf("its memory cannot be used: %w", err)
		}
		s.goOn(m)
	}
	s.model = d.model
	s.model.users.Add(1)
	return s, nil
}

// prompts are the questions that captions answer now.
func (s *scene) prompts() []Prompt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Prompts
}

// asked begins with the questions of cfg.
func (s *scene) asked() {
	s.asks = s.asks[:0]
	for _, p := range s.cfg.Prompts {
		s.asks = append(s.asks, p.Question)
	}
	s.said = make([]string, len(s.asks))
}

// start captures and watches until ctx ends or the sources do.
func (s *scene) start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.pulse = s.guard.Watch("scene " + s.cfg.Name)
	s.hand <- struct{}{} // until it remembers
	go func() {
		defer s.guard.Forget(s.pulse)
		s.beginPlugins(ctx)
		for _, v := range s.views { // of which plugins are asked about the first picture, too
			v.start(ctx)
		}
		err := s.remember()
		<-s.hand
		if err == nil {
			s.event(&wire.Event{Event: wire.EventState, State: wire.StateWatching, Text: "watching " + strings.Join(s.names, ", "), Views: s.names})
			err = s.run(ctx)
		}
		s.saveLast()
		s.endPlugins()
		text := "stopped"
		switch {
		case errors.Is(err, io.EOF):
			text, err = "no more pictures", nil
		case ctx.Err() != nil:
			err = nil
		case err != nil:
			text = err.Error()
		}
		s.mu.Lock()
		s.status.State, s.status.Reason = wire.StateStopped, text
		s.mu.Unlock()
		s.event(&wire.Event{Event: wire.EventState, State: wire.StateStopped, Text: text})
		s.err = err
		close(s.done)
		s.ended(s)
	}()
}

func (s *scene) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// stop ends the scene, if it runs, waits for the frame set in work, and closes
// the sources.
func (s *scene) stop() error {
	if s.cancel != nil {
		s.cancel()
		<-s.done
	}
	return errors.Join(together(s.views, func(v *view) error {
		if s.cancel != nil {
			v.stop()
		}
		if err := v.Close(); err != nil {
			return fmt.Errorf("closing view %s of %s: %w", v.Name, s.cfg.Name, err)
		}
		return nil
	})...)
}

func (s *scene) run(ctx context.Context) error {
	defer s.sets.close()
	for n := uint64(0); s.cfg.Frames == 0 || n < s.cfg.Frames; n++ {
		if err := s.pause(ctx); err != nil {
			return err
		}
		s.unasked = false
		set, err := s.sets.next(ctx)
		if err != nil {
			return err
		}
		if s.paused.Load() || s.unasked {
			set.release()
			continue
		}
		if err = s.show(ctx, set); err != nil {
			return fmt.Errorf("frame set %d: %w", set.Number, err)
		}
	}
	return nil
}

// show makes what there is to make of a set, and releases it. What a model on trial fails at is left out.
func (s *scene) show(ctx context.Context, set *FrameSet) error {
	if err := take(ctx, s.hand); err != nil {
		set.release()
		return err
	}
	err := s.step(ctx, set)
	if _, ok := errors.AsType[leftAlone](err); ok {
		set.leave()
	}
	set.release()
	forgiven := err != nil && ctx.Err() == nil && s.model.forgives(err)
	<-s.hand
	if !forgiven {
		return err
	}
	s.leaveOut()
	return camera.SleepUntil(ctx, time.Now().Add(lookAgain))
}

// setPaused makes the scene look at no more frame sets, or look again.
func (s *scene) setPaused(paused bool) {
	if s.isDone() || s.paused.Swap(paused) == paused {
		return
	}
	e := &wire.Event{Event: wire.EventState, State: wire.StateWatching, Text: "watching again", Views: s.names}
	if paused {
		e.State, e.Text = wire.StatePaused, "paused"
	}
	s.mu.Lock()
	if s.status.State != wire.StateStopped {
		s.status.State = e.State
	}
	s.mu.Unlock()
	s.event(e)
}

// pause waits until the next frame set is wanted.
func (s *scene) pause(ctx context.Context) error {
	s.mu.Lock()
	interval := s.cfg.Interval
	s.sets.waits(&s.cfg)
	s.mu.Unlock()
	if d := time.Until(s.looked.Add(interval)); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.nudge:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// What is lost to the timer is not made up for: the next pause counts from now.
	s.looked = time.Now()
	return ctx.Err()
}

// step sees one frame set and writes a caption if there is something to say.
func (s *scene) step(ctx context.Context, set *FrameSet) error {
	if !s.gate.wants(set, s.sets, s.owed) {
		s.idle()
		return nil
	}
	ctx, free := s.model.bound(ctx)
	defer free()
	ctx, end := s.work.begin(ctx, s.pulse)
	defer end()
	if s.forget.CompareAndSwap(true, false) {
		if err := s.mind.forget(); err != nil {
			return err
		}
	}
	step := Step{Set: set}
	taken, err := s.see(ctx, &step)
	if err != nil || !taken {
		return err
	}
	snap := s.keep(set)
	if snap == nil {
		s.leaveOut()
		return nil
	}
	step.State = stateBytes(snap)
	open := s.opens()
	clear(s.images)
	var alerts []*wire.Event
	if open {
		step.Views = set.names(s.names)
		if err := s.caption(ctx, &step); err != nil {
			return fmt.Errorf("caption: %w", err)
		}
		s.model.settle(nil)
		alerts = s.reviews(ctx, &step)
	}
	for _, i := range s.account(&step, open) {
		m := step.MS
		s.event(&wire.Event{
			Event: wire.EventCaption, Time: set.Time.UnixMilli(), Frame: int64(set.Number),
			Text: step.texts[i].text, Lang: s.cfg.Prompts[i].Language, Views: step.Views, MS: &m, Tags: step.texts[i].tags,
		})
	}
	if s.cfg.Observe != nil {
		s.cfg.Observe(&step)
	}
	for _, a := range alerts {
		s.event(a)
	}
	return nil
}

// idle counts a frame set that the model is not shown, since nothing has changed.
func (s *scene) idle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Gated++
	s.counts.Idle++
}

// leaveOut counts a frame set that the memory was not to hold.
func (s *scene) leaveOut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Skipped++
}

// see lets the model see the set when it is the scene's turn. While it waits for that
// cameras deliver, so what is shown is the newest there is then; taken is false when that
// is not to be seen, or could not be added to the memory.
func (s *scene) see(ctx context.Context, step *Step) (taken bool, err error) {
	s.pulse.Rest()
	done, err := s.turns.look(ctx, s.look)
	s.pulse.Beat()
	if err != nil {
		return false, err
	}
	defer done()
	set := step.Set
	if !s.sets.renew() {
		return false, nil // the views count why
	}
	if !s.gate.lets(set, s.sets, s.owed) {
		s.idle()
		return false, nil
	}
	s.images = set.Images(s.images[:0])
	start := time.Now()
	s.model.looked.Store(true)
	vision, encode, taken, err := s.mind.see(ctx, s.images, set.Number)
	s.look = time.Since(start)
	step.MS.Vision, step.MS.Encode = ms(vision), ms(encode)
	if err == nil {
		s.sees(start)
	}
	if err == nil && !taken {
		s.leaveOut()
	}
	return taken, err
}

// opens asks the gate, and holds what it lets through until the next caption may
// be written.
func (s *scene) opens() bool {
	s.owed = s.gate.open(s.mind.old.ImageState) || s.owed
	if !s.owed || !s.spoken.IsZero() && time.Since(s.spoken) < s.cfg.CaptionInterval {
		return false
	}
	s.owed = false
	return true
}

// caption has the model answer all prompts: the texts stand in the order of these, and are
// there together or not at all.
func (s *scene) caption(ctx context.Context, step *Step) error {
	s.pulse.Rest()
	done, err := s.turns.caption(ctx, len(s.asks))
	s.pulse.Beat()
	if err != nil {
		return err
	}
	defer done()
	start := time.Now()
	texts, err := s.mind.old.Answers(ctx, s.asks)
	s.spoken = time.Now()
	step.MS.Decode = ms(s.spoken.Sub(start))
	if err != nil {
		return err
	}
	step.texts = make([]wording, len(texts))
	for i, t := range texts {
		step.texts[i].text = strings.TrimSpace(t)
	}
	return nil
}

// account counts the step and returns which of its texts are news, each beside the caption
// before in its language. Those of one step count as one caption.
func (s *scene) account(step *Step, open bool) (news []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Frames++
	s.counts.Memory = step.State
	s.taken = step.Set.Time
	s.status.FrameTime = s.taken.UnixMilli()
	s.status.MS, s.status.SkewMS = step.MS, ms(step.Set.Skew)
	if !open {
		s.counts.Gated++
		return nil
	}
	repeated := false
	for i, t := range step.texts {
		switch {
		case t.dropped: // the plugin counts it
		case s.counts.Captions == 0 || t.text != s.said[i]:
			news = append(news, i)
			s.said[i] = t.text
		default:
			repeated = true
		}
	}
	if len(news) == 0 {
		if repeated {
			s.counts.Repeated++
		}
		return nil
	}
	step.New = true
	s.counts.Captions++
	if news[0] == 0 {
		s.status.Caption, s.status.CaptionTime = step.Text, step.Set.Time.UnixMilli()
	}
	return news
}

// viewChanged is told of each change of a view's state.
func (s *scene) viewChanged(view string, state camera.State, text string) {
	s.event(&wire.Event{Event: wire.EventState, View: view, State: string(state), Text: text})
}

func (s *scene) event(e *wire.Event) {
	e.Scene = s.cfg.Name
	if e.Time == 0 {
		e.Time = time.Now().UnixMilli()
	}
	s.hub.publish(e)
	if s.cfg.Alerted != nil && e.Event == wire.EventAlert {
		s.cfg.Alerted(e)
	}
	if s.log != nil && e.Event == wire.EventState {
		s.log(e.Scene + ": " + e.Text)
	}
}

func (s *scene) stats() Stats {
	s.mu.Lock()
	c := s.counts
	s.mu.Unlock()
	for _, v := range s.views {
		c.Skipped += v.box.Skipped() + v.skipped.Load()
		c.Damaged += v.damaged.Load()
		c.Unfit += v.unfit.Load()
	}
	return c
}

// report is the scene's part of the daemon's status.
func (s *scene) report() wire.SceneStatus {
	c := s.stats()
	s.mu.Lock()
	st := s.status
	if !s.taken.IsZero() {
		st.AgeMS = ms(time.Since(s.taken))
	}
	s.mu.Unlock()
	st.Frames, st.Skipped, st.Captions = int64(c.Frames), int64(c.Skipped), int64(c.Captions)
	st.Gated, st.Repeated = int64(c.Gated), int64(c.Repeated)
	for _, v := range s.views {
		st.Views = append(st.Views, v.report())
	}
	st.Langs = s.langs()
	st.Memory = s.kept()
	return st
}

// langs are the languages of its captions that have a name.
func (s *scene) langs() (all []string) {
	for _, p := range s.prompts() {
		if p.Language != "" {
			all = append(all, p.Language)
		}
	}
	return all
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
