package edge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/vlm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeModel remembers a hash of everything it has seen, and says it. It thinks before
// each piece of an answer, not of its own captions.
type fakeModel struct {
	see   func(ctx context.Context) error // called in See; may wait
	shown func(views []image.Image)       // called in See, before that
	size  func() float32                  // the magnitude; nil: 1
	name  byte                            // of the fingerprint
	think func(ctx context.Context) error // called before each piece of an answer

	fixed string // the question whose answer is always the same

	context int    // tokens of captions that it reads
	unknown string // characters that it cannot write

	change float64 // of the state, that counts
}

func (m *fakeModel) Name() string    { return "fake" }
func (m *fakeModel) Origin() string  { return "" }
func (m *fakeModel) Backend() string { return "none" }
func (m *fakeModel) MaxViews() int   { return 8 }

func (m *fakeModel) StateChange() float64 { return m.change }

func (m *fakeModel) Context() int { return m.context }

// Tokens counts words.
func (m *fakeModel) Tokens(text string) (int, error) {
	if strings.ContainsAny(text, m.unknown) {
		return 0, vlm.ErrQuestion
	}
	return len(strings.Fields(text)), nil
}

func (m *fakeModel) Fingerprint() [32]byte { return [32]byte{m.name} }

func (m *fakeModel) NewStream() (Stream, error) { return &fakeStream{m: m}, nil }

type fakeStream struct {
	m        *fakeModel
	memory   [sha256.Size]byte
	pictures [sha256.Size]byte // a hash of those of the newest See
}

func (s *fakeStream) See(ctx context.Context, views []image.Image) (vision, encode time.Duration, err error) {
	if s.m.shown != nil {
		s.m.shown(views)
	}
	if s.m.see != nil {
		if err := s.m.see(ctx); err != nil {
			return 0, 0, err
		}
	}
	h := sha256.New()
	for _, v := range views {
		h.Write(v.(*image.RGBA).Pix)
	}
	h.Sum(s.pictures[:0])
	s.add(s.pictures)
	return time.Millisecond, time.Millisecond, nil
}

func (s *fakeStream) SeeWith(_ context.Context, o Stream) (encode time.Duration, err error) {
	s.add(o.(*fakeStream).pictures)
	return time.Millisecond, nil
}

func (s *fakeStream) add(pictures [sha256.Size]byte) {
	s.memory = sha256.Sum256(append(s.memory[:], pictures[:]...))
}

func (s *fakeStream) Magnitude() float32 {
	if s.m.size != nil {
		return s.m.size()
	}
	return 1
}

func (s *fakeStream) say(ctx context.Context, text string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, piece := range []string{" ", text[:len(text)/2], text[len(text)/2:]} {
			if s.m.think != nil {
				if err := s.m.think(ctx); err != nil {
					yield("", err)
					return
				}
			}
			if !yield(piece, ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
	}
}

func (s *fakeStream) Generate(ctx context.Context, question string) iter.Seq2[string, error] {
	if question == "" {
		return (&fakeStream{m: &fakeModel{}}).say(ctx, fmt.Sprintf("%x", s.memory[:8]))
	}
	if question == s.m.fixed {
		return s.say(ctx, question)
	}
	return s.say(ctx, fmt.Sprintf("%s %x", question, s.memory[:8]))
}

func (s *fakeStream) Answers(ctx context.Context, questions []string) ([]string, error) {
	texts := make([]string, len(questions))
	for i, q := range questions {
		for p, err := range s.Generate(ctx, q) {
			if err != nil {
				return nil, err
			}
			texts[i] += p
		}
	}
	return texts, nil
}

func (s *fakeStream) ImageState() []float32 {
	f := make([]float32, 4)
	for i := range f {
		f[i] = float32(s.memory[i])
	}
	return f
}

func (s *fakeStream) Snapshot() []byte { return bytes.Clone(s.memory[:]) }

func (s *fakeStream) Restore(b []byte) error {
	if len(b) != len(s.memory) {
		return errors.New("bad snapshot")
	}
	copy(s.memory[:], b)
	return nil
}

// filmLevel is the value of all pixels of picture n of a film, neither black nor white.
func filmLevel(n uint64) uint8 { return uint8(24 + n*40%216) }

// film is a source of n small pictures.
type film struct {
	n     uint64
	every time.Duration // of the frame times
	start time.Time
	live  time.Duration // when set, as a camera: a frame each, of the time when it comes
	gate  chan struct{} // when set, one frame per token
	fail  error         // at the end instead of io.EOF
	paint func(*image.RGBA)
	at    func(n uint64) time.Time // instead of every

	next     uint64
	out      atomic.Int64 // frames not yet released
	closed   atomic.Int64
	released atomic.Int64
}

func newFilm(n uint64) *film { return &film{n: n, every: time.Second, start: time.Unix(1000, 0)} }

func (f *film) Next(ctx context.Context) (camera.Frame, error) {
	if f.live > 0 {
		if err := camera.SleepUntil(ctx, time.Now().Add(f.live)); err != nil {
			return camera.Frame{}, err
		}
	}
	if f.gate != nil {
		select {
		case <-ctx.Done():
			return camera.Frame{}, ctx.Err()
		case <-f.gate:
		}
	}
	if err := ctx.Err(); err != nil {
		return camera.Frame{}, err
	}
	if f.next >= f.n {
		if f.fail != nil {
			return camera.Frame{}, f.fail
		}
		return camera.Frame{}, io.EOF
	}
	n := f.next
	f.next++
	img := image.NewRGBA(image.Rect(0, 0, 32, 24))
	for i := range img.Pix {
		img.Pix[i] = filmLevel(n)
	}
	if f.paint != nil {
		f.paint(img)
	}
	at := f.start.Add(time.Duration(n) * f.every)
	if f.at != nil {
		at = f.at(n)
	}
	if f.live > 0 {
		at = time.Now()
	}
	f.out.Add(1)
	return camera.NewFrame(img, at, n, func() {
		f.out.Add(-1)
		f.released.Add(1)
		clear(img.Pix) // whoever still looks sees it
	}), nil
}

func (f *film) Close() error {
	f.closed.Add(1)
	return nil
}

// check fails unless all frames came back and the source was closed once.
func (f *film) check(t *testing.T) {
	t.Helper()
	if n := f.out.Load(); n != 0 {
		t.Errorf("%d frames were never released, or twice", n)
	}
	if n := f.closed.Load(); n != 1 {
		t.Errorf("source closed %d times", n)
	}
}

func views(films ...*film) []camera.View {
	var all []camera.View
	for i, f := range films {
		all = append(all, camera.View{Name: fmt.Sprintf("view%d", i), Source: f})
	}
	return all
}
