package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/wire"
)

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
