package vlm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/visualrwkv/edged/internal/fault"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/tokenizer"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/prompt"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// ErrNotFinite is wrapped by the error of [Stream.See] when the memory has
// overflowed. The memory before it is kept.
var ErrNotFinite = errors.New("memory is not finite")

// ErrQuestion is wrapped by the error of [Stream.Generate] about a question with
// a word that the model's vocabulary cannot write. A small model's may be a few
// dozen words; the full one of RWKV World can write everything.
var ErrQuestion = errors.New("the model does not know this word")

// Stream is one memory: what a scene's cameras have shown so far. It belongs
// to one goroutine at a time.
type Stream struct {
	m      *Model
	format prompt.Format
	work   *rwkv.Work
	sight  *sight

	// mem is the memory: the encoder's state, in models without one the decoder's, in
	// bidirectional ones nothing. next is where See builds its successor, so that a frame set
	// counts whole or not at all.
	mem, next *rwkv.State

	rows   []float32 // [images*p², C]: image tokens for the prompt, if it has them
	spare  []float32 // the next rows, while See makes them
	images int       // pictures in rows; without an encoder, of the newest frame set
	frames uint64    // frame sets seen
	looked int       // pictures of the newest See whose tokens sight has; 0 before, and after a failure

	talk talk

	visionTime, encodeTime time.Duration // of the last See
}

// NewStream returns a stream that has seen nothing.
func (m *Model) NewStream() (*Stream, error) {
	scratch := quant.NewScratch(m.pool)
	s := &Stream{m: m, format: m.writing(), work: rwkv.NewWork(scratch, nil)}
	switch {
	case m.enc != nil:
		s.mem, s.next = m.enc.NewState(), m.enc.NewState()
	case m.carries():
		s.mem, s.next = m.dec.NewState(), m.dec.NewState()
	default:
		s.mem, s.next = rwkv.NewState(nil), rwkv.NewState(nil)
	}
	if len(m.towers) > 0 {
		var err error
		if s.sight, err = newSight(m, scratch); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// writing is how questions are written for the model.
func (m *Model) writing() prompt.Format {
	return prompt.Format{
		Vocabulary:  m.vocab,
		ImageToken:  m.config.ImageToken,
		ImageTokens: m.config.pictureTokens(),
		Lowercase:   m.config.Lowercase,
		Sandwich:    m.dec.Bidirectional(),
	}
}

// CheckQuestion says what keeps a question from being asked: an error that wraps
// [ErrQuestion] names a word that the vocabulary cannot write.
func (m *Model) CheckQuestion(question string) error {
	_, err := m.prompt(m.writing(), question, 1)
	return err
}

// Tokens returns how many tokens a line of text adds to a question; an error that wraps [ErrQuestion]
// names a word that the vocabulary cannot write.
func (m *Model) Tokens(text string) (int, error) {
	none, err := m.prompt(m.writing(), "", 1)
	if err != nil {
		return 0, err
	}
	all, err := m.prompt(m.writing(), text, 1)
	if err != nil {
		return 0, err
	}
	return len(all) - len(none), nil
}

// carries reports whether the memory is the decoder's own state, which goes on from frame
// set to frame set. A bidirectional decoder's cannot: its prompt is one question around
// one picture.
func (m *Model) carries() bool { return m.enc == nil && !m.dec.Bidirectional() }

// Model returns the model the stream belongs to.
func (s *Stream) Model() *Model { return s.m }

// Frames returns the number of frame sets in the memory.
func (s *Stream) Frames() uint64 { return s.frames }

// Views returns the number of pictures of the newest frame set, 0 before the
// first; with [Options].Exact, of all.
func (s *Stream) Views() int { return s.images }

// Magnitude returns the largest absolute value in the memory. Over long
// streams only the model's own decay bounds it.
func (s *Stream) Magnitude() float32 { return s.mem.MaxAbs() }

// ImageState returns S_img [H,N,N], key axis before value axis: what the
// decoder reads of the memory. It is borrowed until the stream is used again,
// and nil in models without a state encoder.
func (s *Stream) ImageState() []float32 { return s.image() }

// Times tells how long the last [Stream.See] spent on pictures (preprocessing,
// tower, projector) and on the memory (state encoder).
func (s *Stream) Times() (vision, encode time.Duration) { return s.visionTime, s.encodeTime }

// Reset forgets everything.
func (s *Stream) Reset() {
	s.mem.Reset()
	s.rows, s.images, s.frames = s.rows[:0], 0, 0
	s.talk.stale()
}

// See takes in one frame set: the pictures of all views at one instant, always
// in the same order. When it fails, or ctx ends, the memory is what it was. A
// bidirectional model takes one picture, and forgets it when the next comes.
func (s *Stream) See(ctx context.Context, views ...image.Image) error {
	defer fault.Explain(debug.SetPanicOnFault(true))
	switch {
	case s.sight == nil:
		return fmt.Errorf("model %s has no vision tower: %w", s.m.config.Name, ErrConfig)
	case len(views) == 0:
		return errors.New("frame set of no picture")
	case len(views) > s.m.config.MaxViews():
		return fmt.Errorf("frame set of %d pictures: model %s takes %d at most", len(views), s.m.config.Name, s.m.config.MaxViews())
	}
	s.visionTime, s.encodeTime = 0, 0
	s.looked = 0
	start := time.Now()
	if err := s.sight.look(ctx, views); err != nil {
		return err
	}
	s.looked = len(views)
	s.visionTime = time.Since(start)
	return s.takeIn(ctx, s)
}

// SeeWith takes in the frame set that o, a stream of the same model, has seen last,
// without looking at its pictures again: two memories of one scene cost the towers
// once. What is remembered is what See would have made of the same pictures.
func (s *Stream) SeeWith(ctx context.Context, o *Stream) error {
	defer fault.Explain(debug.SetPanicOnFault(true))
	switch {
	case o.m != s.m:
		return fmt.Errorf("a stream of model %s cannot see with one of model %s", s.m.config.Name, o.m.config.Name)
	case o.looked == 0:
		return errors.New("there is nothing to see with another stream: it has looked at no frame set")
	}
	s.visionTime, s.encodeTime = 0, 0
	return s.takeIn(ctx, o)
}

// takeIn goes on with the newest frame set that o looked at.
func (s *Stream) takeIn(ctx context.Context, o *Stream) error {
	s.next.CopyFrom(s.mem)
	s.spare = s.spare[:0]
	if s.m.exact {
		s.spare = append(s.spare, s.rows...)
	}
	start := time.Now()
	if err := s.encode(ctx, o.sight, o.looked); err != nil {
		return err
	}
	if s.m.enc != nil || s.m.carries() {
		s.encodeTime = time.Since(start)
	}
	if math.IsInf(float64(s.next.MaxAbs()), 1) {
		return fmt.Errorf("frame set %d: %w", s.frames+1, ErrNotFinite)
	}
	s.mem, s.next = s.next, s.mem
	s.rows, s.spare = s.spare, s.rows
	s.frames++
	if s.m.exact {
		s.images += o.looked
	} else {
		s.images = o.looked
	}
	s.talk.stale()
	return nil
}

// encode copies the image tokens of n views into s.spare and feeds s.next.
func (s *Stream) encode(ctx context.Context, from *sight, n int) error {
	m := s.m
	for _, v := range from.views[:n] {
		s.spare = append(s.spare, v.rows...)
	}
	if m.enc != nil {
		// As many pictures at a time as fill the rows that blocks take at once.
		k := max(1, rwkv.MaxRows/m.config.EncoderTokens)
		for at := 0; at < n; at += k {
			if err := m.enc.Feed(ctx, s.work, s.next, from.encoderTokens(at, min(at+k, n))); err != nil {
				return err
			}
		}
		return nil
	}
	if !m.carries() {
		return nil
	}
	// Without an encoder the memory is the decoder's own state: the prompt so
	// far goes on with the new pictures.
	ids, err := s.pictures(n)
	if err != nil {
		return err
	}
	p := decoder.Prompt{IDs: ids, ImageID: m.config.ImageToken, Rows: s.spare}
	err = m.dec.Prefill(ctx, s.work, s.next, nil, p, nil)
	s.spare = s.spare[:0]
	return err
}

// pictures returns the part of a prompt that shows n pictures after those
// already in the memory of a model without an encoder.
func (s *Stream) pictures(n int) ([]int, error) {
	before := min(s.images, 1)
	ids, err := s.prompt("", before+n)
	if err != nil {
		return nil, err
	}
	ids = ids[:s.afterPicture(ids, before+n)]
	return ids[s.afterPicture(ids, before):], nil
}

// prompt assembles a question about n pictures.
func (s *Stream) prompt(question string, n int) ([]int, error) {
	return s.m.prompt(s.format, question, n)
}

func (m *Model) prompt(f prompt.Format, question string, n int) ([]int, error) {
	if m.vocab == nil {
		return nil, fmt.Errorf("model %s has no vocabulary: %w", m.config.Name, ErrConfig)
	}
	p, err := f.Build(prompt.Turn{Question: question, Images: n})
	if e, ok := errors.AsType[*tokenizer.UncoveredError](err); ok {
		return nil, fmt.Errorf("%w: %q", ErrQuestion, cmp.Or(e.Word, e.Char))
	}
	if err != nil {
		return nil, err
	}
	return p.IDs, nil
}

// afterPicture returns the index after the n-th picture's placeholders in ids,
// 0 for n = 0.
func (s *Stream) afterPicture(ids []int, n int) int {
	at := 0
	for range n {
		at += slices.Index(ids[at:], s.m.config.ImageToken) + s.m.config.pictureTokens()
	}
	return at
}
