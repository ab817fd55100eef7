package edge

import (
	"cmp"
	"context"
	"image"
	"iter"
	"time"

	"github.com/visualrwkv/edged/vlm"
)

// VLM makes a [Model] of an open model file. The model stays the caller's.
func VLM(m *vlm.Model) Model { return vlmModel{m} }

type vlmModel struct{ m *vlm.Model }

func (m vlmModel) Name() string    { return m.m.Info().Name }
func (m vlmModel) Origin() string  { return "" }
func (m vlmModel) Backend() string { return m.m.Info().Backend }
func (m vlmModel) MaxViews() int   { return m.m.Config().MaxViews() }

func (m vlmModel) StateChange() float64 { return 0 }

func (m vlmModel) Context() int { return m.m.Config().Context }

func (m vlmModel) Tokens(text string) (int, error) { return m.m.Tokens(text) }

func (m vlmModel) Fingerprint() [32]byte { return m.m.Fingerprint() }

func (m vlmModel) NewStream() (Stream, error) {
	s, err := m.m.NewStream()
	if err != nil {
		return nil, err
	}
	return &vlmStream{s: s, caption: m.m.Config().Caption}, nil
}

type vlmStream struct {
	s       *vlm.Stream
	caption string
}

func (s *vlmStream) See(ctx context.Context, views []image.Image) (vision, encode time.Duration, err error) {
	err = s.s.See(ctx, views...)
	vision, encode = s.s.Times()
	return vision, encode, err
}

func (s *vlmStream) SeeWith(ctx context.Context, o Stream) (encode time.Duration, err error) {
	err = s.s.SeeWith(ctx, o.(*vlmStream).s)
	_, encode = s.s.Times()
	return encode, err
}

func (s *vlmStream) ImageState() []float32 { return s.s.ImageState() }
func (s *vlmStream) Magnitude() float32    { return s.s.Magnitude() }

func (s *vlmStream) Generate(ctx context.Context, question string) iter.Seq2[string, error] {
	return s.s.Generate(ctx, cmp.Or(question, s.caption), nil)
}

func (s *vlmStream) Answers(ctx context.Context, questions []string) ([]string, error) {
	all := make([]string, len(questions))
	for i, q := range questions {
		all[i] = cmp.Or(q, s.caption)
	}
	return s.s.Answers(ctx, all, nil)
}

func (s *vlmStream) Snapshot() []byte              { return s.s.State() }
func (s *vlmStream) Restore(snapshot []byte) error { return s.s.SetState(snapshot) }
