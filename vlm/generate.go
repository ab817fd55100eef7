package vlm

import (
	"context"
	"errors"
	"fmt"
	"image"
	"iter"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/internal/fault"
	"github.com/visualrwkv/edged/tokenizer"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/prompt"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// GenOptions change how text is generated. Nil and the zero value are greedy,
// as the authors' code always is.
type GenOptions struct {
	MaxTokens   int     // tokens at most; 0 means 256
	Temperature float64 // 0 is greedy
	TopP        float64 // sample from the most likely tokens that sum to this; 0 and 1 keep all
	Seed        uint64  // the same seed gives the same text
}

const defaultMaxTokens = 256

func (o *GenOptions) withDefaults() GenOptions {
	var c GenOptions
	if o != nil {
		c = *o
	}
	if c.MaxTokens <= 0 {
		c.MaxTokens = defaultMaxTokens
	}
	return c
}

// talk is the decoder's side of a stream.
type talk struct {
	prefix    *rwkv.State // after the pictures, for the next question too
	prefixIDs []int       // what it has read; nil when stale
	voices    []*voice
	turns     []*turn
}

// stale forgets what depends on the memory.
func (t *talk) stale() { t.prefixIDs = nil }

// voice is one answer in the making.
type voice struct {
	state   *rwkv.State
	logits  []float32
	turn    turn
	sampler *decoder.Sampler
	decode  *tokenizer.Decoder
	answer  prompt.Answers
	left    int // tokens until the limit
}

func (s *Stream) voice(i int) *voice {
	t := &s.talk
	for len(t.voices) <= i {
		t.voices = append(t.voices, &voice{
			state:  s.m.dec.NewState(),
			logits: make([]float32, s.m.dec.Vocab()),
			turn:   turn{done: make(chan error, 1)},
		})
	}
	return t.voices[i]
}

// image returns S_img, nil in models that read none.
func (s *Stream) image() []float32 {
	if s.m.enc == nil {
		return nil
	}
	return s.m.enc.Image(s.mem)
}

// begin prefills the prompt of a question into a voice. What the prompts of
// all questions about one frame set begin with is computed once.
func (s *Stream) begin(ctx context.Context, v *voice, question string) error {
	m := s.m
	if m.carries() {
		ids, err := s.prompt(question, min(s.images, 1))
		if err != nil {
			return err
		}
		v.state.CopyFrom(s.mem)
		p := decoder.Prompt{IDs: ids[s.afterPicture(ids, min(s.images, 1)):], ImageID: -1}
		return m.dec.Prefill(ctx, s.work, v.state, nil, p, v.logits)
	}
	ids, err := s.prompt(question, s.images)
	if err != nil {
		return err
	}
	if m.dec.Bidirectional() {
		// Nothing to share: the question stands before the picture too.
		v.state.Reset()
		p := decoder.Prompt{IDs: ids, ImageID: m.config.ImageToken, Rows: s.rows}
		return m.dec.Prefill(ctx, s.work, v.state, nil, p, v.logits)
	}
	shared := ids[:s.afterPicture(ids, s.images)]
	t := &s.talk
	if t.prefixIDs == nil || !slices.Equal(t.prefixIDs, shared) {
		t.prefixIDs = nil // until it is complete
		if t.prefix == nil {
			t.prefix = m.dec.NewState()
		}
		t.prefix.Reset()
		p := decoder.Prompt{IDs: shared, ImageID: m.config.ImageToken, Rows: s.rows}
		if m.config.StateOnly {
			p.ImageID = -1
		}
		if err := m.dec.Prefill(ctx, s.work, t.prefix, s.image(), p, nil); err != nil {
			return err
		}
		t.prefixIDs = shared
	}
	v.state.CopyFrom(t.prefix)
	rest := decoder.Prompt{IDs: ids[len(shared):], ImageID: -1}
	return m.dec.Prefill(ctx, s.work, v.state, s.image(), rest, v.logits)
}

// start readies a voice for an answer.
func (s *Stream) start(ctx context.Context, i int, question string, o GenOptions) (*voice, error) {
	v := s.voice(i)
	if err := s.begin(ctx, v, question); err != nil {
		return nil, err
	}
	v.sampler = decoder.NewSampler(s.m.dec.Vocab(), o.Temperature, o.TopP, o.Seed+uint64(i))
	v.decode = s.m.vocab.NewDecoder()
	v.answer = prompt.Answers{}
	v.left = o.MaxTokens
	return v, nil
}

// next chooses a token. It returns the text that is complete with it, and
// whether the answer has ended.
func (v *voice) next(stop int) (id int, text string, done bool) {
	id = v.sampler.Next(v.logits)
	v.left--
	if id == stop || id == tokenizer.End {
		text, _ = v.answer.Add(v.decode.Flush())
		return id, text, true
	}
	text, done = v.answer.Add(v.decode.Add(id))
	if v.left <= 0 && !done {
		more, _ := v.answer.Add(v.decode.Flush())
		return id, text + more, true
	}
	return id, text, done
}

// step feeds the chosen token to each of the voices, which have joined the
// batcher.
func (s *Stream) step(ctx context.Context, voices []*voice, ids []int) error {
	t := &s.talk
	t.turns = t.turns[:0]
	for i, v := range voices {
		v.turn.seq = decoder.Seq{State: v.state, Image: s.image(), Token: ids[i], Logits: v.logits}
		t.turns = append(t.turns, &v.turn)
	}
	return s.m.batcher.step(ctx, t.turns)
}

// Generate answers a question about what the stream has seen. The pieces,
// joined, are the answer: what the model writes before the first blank line,
// stripped. An error ends the sequence. The memory is only read. The stream
// must not be used otherwise until the loop is over; leaving it early is fine.
func (s *Stream) Generate(ctx context.Context, question string, o *GenOptions) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		defer fault.Explain(debug.SetPanicOnFault(true))
		v, err := s.start(ctx, 0, question, o.withDefaults())
		if err != nil {
			yield("", err)
			return
		}
		s.m.batcher.join(1)
		defer s.m.batcher.leave(1)
		voices, ids := []*voice{v}, make([]int, 1)
		for {
			id, text, done := v.next(s.m.config.Stop)
			if text != "" && !yield(text, nil) || done {
				return
			}
			ids[0] = id
			if err := s.step(ctx, voices, ids); err != nil {
				yield("", err)
				return
			}
		}
	}
}

// Answer is [Stream.Generate] with the pieces joined.
func (s *Stream) Answer(ctx context.Context, question string, o *GenOptions) (string, error) {
	var b strings.Builder
	for piece, err := range s.Generate(ctx, question, o) {
		if err != nil {
			return "", err
		}
		b.WriteString(piece)
	}
	return b.String(), nil
}

// Answers answers several questions about the same instant. They are decoded
// together, up to eight in one pass over the weights (and with what other
// streams of the model generate meanwhile), and each is what
// [Stream.Answer] would give with o.Seed advanced by its index.
func (s *Stream) Answers(ctx context.Context, questions []string, o *GenOptions) ([]string, error) {
	answers := make([]string, len(questions))
	g := o.withDefaults()
	for at := 0; at < len(questions); at += batch {
		n := min(batch, len(questions)-at)
		if err := s.together(ctx, questions[at:at+n], answers[at:at+n], g); err != nil {
			return nil, err
		}
		g.Seed += batch
	}
	return answers, nil
}

func (s *Stream) together(ctx context.Context, questions, answers []string, o GenOptions) error {
	defer fault.Explain(debug.SetPanicOnFault(true))
	var voices []*voice
	var at []int // which answer a voice makes
	for i, q := range questions {
		v, err := s.start(ctx, i, q, o)
		if err != nil {
			return fmt.Errorf("question %d: %w", i+1, err)
		}
		voices, at = append(voices, v), append(at, i)
	}
	ids := make([]int, len(voices))
	s.m.batcher.join(len(voices))
	defer func() { s.m.batcher.leave(len(voices)) }()
	for len(voices) > 0 {
		k := 0
		for i, v := range voices {
			id, text, done := v.next(s.m.config.Stop)
			answers[at[i]] += text
			if !done {
				voices[k], at[k], ids[k] = v, at[i], id
				k++
			}
		}
		s.m.batcher.leave(len(voices) - k)
		voices, at = voices[:k], at[:k]
		if k == 0 {
			break
		}
		if err := s.step(ctx, voices, ids[:k]); err != nil {
			return err
		}
	}
	return nil
}

// Caption sees a frame set, unless views is empty, and describes it with the
// model's own question for that.
func (s *Stream) Caption(ctx context.Context, views ...image.Image) (string, error) {
	if len(views) > 0 {
		if err := s.See(ctx, views...); err != nil {
			return "", err
		}
	}
	return s.Answer(ctx, s.m.config.Caption, nil)
}

// Follow computes what the model expects at each position of answers to questions about the
// same instant: f gets the logits [vocabulary] before each token of follow[question], borrowed
// for the call. With follow nil the model's own most likely tokens are followed, limit at most,
// the stop token included, of questions that are decoded together as those of
// [Stream.Answers]; given ones are read many at a time, with the same logits. It returns the
// tokens of each question: none where the vocabulary cannot write it, or where there are none
// to follow. Comparing two files of one model on the same tokens is what it is for.
func (s *Stream) Follow(ctx context.Context, questions []string, follow [][]int, limit int, f func(question int, logits []float32)) ([][]int, error) {
	tokens := make([][]int, len(questions))
	if follow != nil {
		for i, q := range questions {
			if err := s.read(ctx, q, follow[i], func(logits []float32) { f(i, logits) }); errors.Is(err, ErrQuestion) {
				continue
			} else if err != nil {
				return nil, err
			}
			tokens[i] = slices.Clone(follow[i])
		}
		return tokens, nil
	}
	for at := 0; at < len(questions); at += batch {
		if err := s.follow(ctx, at, min(at+batch, len(questions)), questions, tokens, limit, f); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// read calls f with the logits before each token of an answer.
func (s *Stream) read(ctx context.Context, question string, answer []int, f func(logits []float32)) error {
	if len(answer) == 0 {
		return nil
	}
	v := s.voice(0)
	if err := s.begin(ctx, v, question); err != nil {
		return err
	}
	f(v.logits)
	return s.m.dec.Follow(ctx, s.work, v.state, s.image(), answer[:len(answer)-1], f)
}

// follow follows the model's own answers to questions from to to.
func (s *Stream) follow(ctx context.Context, from, to int, questions []string, tokens [][]int, limit int, f func(int, []float32)) error {
	var voices []*voice
	var at []int // which question a voice answers
	for i := from; i < to; i++ {
		v := s.voice(len(voices))
		if err := s.begin(ctx, v, questions[i]); errors.Is(err, ErrQuestion) {
			continue
		} else if err != nil {
			return err
		}
		voices, at = append(voices, v), append(at, i)
	}
	ids := make([]int, len(voices))
	s.m.batcher.join(len(voices))
	defer func() { s.m.batcher.leave(len(voices)) }()
	for n := 1; len(voices) > 0; n++ {
		k := 0
		for i, v := range voices {
			q := at[i]
			f(q, v.logits)
			id := decoder.Argmax(v.logits)
			tokens[q] = append(tokens[q], id)
			if n < limit && id != s.m.config.Stop && id != tokenizer.End {
				voices[k], at[k], ids[k] = v, q, id
				k++
			}
		}
		s.m.batcher.leave(len(voices) - k)
		voices = voices[:k]
		if k == 0 {
			break
		}
		if err := s.step(ctx, voices, ids[:k]); err != nil {
			return err
		}
	}
	return nil
}
