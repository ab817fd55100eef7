package vlm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/vlm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vocabulary has one token per printable byte, and the stop token.
func vocabulary() (text []byte, stop int) {
	var b strings.Builder
	id := 1
	for c := 32; c < 127; c++ {
		q := string(rune(c))
		if c == '\'' || c == '\\' {
			q = `\` + q
		}
		fmt.Fprintf(&b, "%d '%s' 1\n", id, q)
		id++
	}
	fmt.Fprintf(&b, "%d '\\n' 1\n%d '\\n\\n' 2\n", id, id+1)
	return []byte(b.String()), id + 1
}

var base = tinymodel.Spec{Seed: 5, Vocab: 120, Image: 32, Patch: 8, GatedProjector: true}

func config(t testing.TB) []byte {
	t.Helper()
	_, stop := vocabulary()
	c, err := json.Marshal(map[string]any{
		"image.decoder_tokens":     4,
		"image.encoder_tokens":     9,
		"image.views":              1,
		"vision.siglip.head_count": 2,
		"vision.clip.head_count":   2,
		"prompt.stop":              stop,
		"prompt.caption":           "describe the room.",
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t testing.TB, s tinymodel.Spec, change func(*vlm.Options)) *vlm.Model {
	t.Helper()
	text, _ := vocabulary()
	o := &vlm.Options{Config: config(t), Vocab: text, Threads: 1}
	if change != nil {
		change(o)
	}
	m, err := vlm.OpenBytes("tiny", tinymodel.New(s).Safetensors(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func stream(t testing.TB, m *vlm.Model) *vlm.Stream {
	t.Helper()
	s, err := m.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// picture is smooth noise.
func picture(seed uint64) image.Image {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := image.NewRGBA(image.Rect(0, 0, 40, 30))
	r, g, b := rng.IntN(256), rng.IntN(256), rng.IntN(256)
	for y := range 30 {
		for x := range 40 {
			m.SetRGBA(x, y, color.RGBA{uint8(r + 3*x), uint8(g + 5*y), uint8(b + x*y/4), 255})
		}
	}
	return m
}

func see(t testing.TB, s *vlm.Stream, seeds ...uint64) {
	t.Helper()
	var views []image.Image
	for _, p := range seeds {
		views = append(views, picture(p))
	}
	if err := s.See(context.Background(), views...); err != nil {
		t.Fatal(err)
	}
}

var short = &vlm.GenOptions{MaxTokens: 12}

func ask(t testing.TB, s *vlm.Stream, q string) string {
	t.Helper()
	a, err := s.Answer(context.Background(), q, short)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestThreadsDoNotMatter(t *testing.T) {
	var want string
	var state []byte
	for _, n := range []int{1, 2, 5} {
		s := stream(t, open(t, base, func(o *vlm.Options) { o.Threads = n }))
		see(t, s, 1, 2)
		see(t, s, 3, 4)
		got := ask(t, s, "what moved?")
		if n == 1 {
			want, state = got, s.State()
		}
		if got != want || !slices.Equal(s.State(), state) {
			t.Errorf("%d threads: %q, want %q", n, got, want)
		}
	}
	if want == "" {
		t.Error("no answer to compare")
	}
}

// Exact keeps all image tokens; the memory is the same.
func TestExact(t *testing.T) {
	all := stream(t, open(t, base, func(o *vlm.Options) { o.Exact = true }))
	newest := stream(t, open(t, base, nil))
	see(t, all, 1, 2)
	see(t, newest, 1, 2)
	if x, y := ask(t, all, "what?"), ask(t, newest, "what?"); x != y {
		t.Errorf("first frame set: answers %q and %q", x, y)
	}
	see(t, all, 3, 4)
	see(t, newest, 3, 4)
	if !slices.Equal(all.ImageState(), newest.ImageState()) {
		t.Error("image states differ")
	}
	if all.Views() != 4 || newest.Views() != 2 {
		t.Errorf("%d and %d pictures in the prompt", all.Views(), newest.Views())
	}
	if err := newest.SetState(all.State()); !errors.Is(err, vlm.ErrOtherModel) {
		t.Errorf("a state with all tokens: %v", err)
	}
	again := stream(t, all.Model())
	if err := again.SetState(all.State()); err != nil {
		t.Fatal(err)
	}
	if x, y := ask(t, all, "what?"), ask(t, again, "what?"); x != y {
		t.Errorf("restored: answers %q and %q", x, y)
	}
}

func TestCaption(t *testing.T) {
	m := open(t, base, nil)
	a, b := stream(t, m), stream(t, m)
	got, err := a.Caption(context.Background(), picture(1), picture(2))
	if err != nil {
		t.Fatal(err)
	}
	see(t, b, 1, 2)
	want, err := b.Answer(context.Background(), "describe the room.", nil)
	if err != nil || got != want {
		t.Errorf("caption %q, want %q (%v)", got, want, err)
	}
	if again, err := a.Caption(context.Background()); err != nil || again != want {
		t.Errorf("caption again %q, want %q (%v)", again, want, err)
	}
	if v, e := a.Times(); v <= 0 || e <= 0 {
		t.Errorf("times %v, %v", v, e)
	}
}

func TestUnknownWord(t *testing.T) {
	s := stream(t, open(t, base, nil))
	see(t, s, 1)
	want := ask(t, s, "what?")
	if a, err := s.Answer(context.Background(), "what été ?", nil); !errors.Is(err, vlm.ErrQuestion) || !strings.HasSuffix(err.Error(), `: "été"`) {
		t.Errorf("%q, %v", a, err)
	}
	if got := ask(t, s, "what?"); got != want {
		t.Errorf("afterwards %q, before %q", got, want)
	}
	m := s.Model()
	if good, bad := m.CheckQuestion("what?"), m.CheckQuestion("what été ?"); good != nil || !errors.Is(bad, vlm.ErrQuestion) {
		t.Errorf("checked before: %v, %v", good, bad)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := stream(t, open(t, base, nil))
	see(t, s, 1, 2)
	before := s.State()
	pieces := 0
	var last error
	for _, err := range s.Generate(ctx, "what?", &vlm.GenOptions{MaxTokens: 1000, Temperature: 50}) {
		if last = err; err == nil {
			if pieces++; pieces == 2 {
				cancel()
			}
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("generation ended with %v after %d pieces", last, pieces)
	}
	if err := s.See(ctx, picture(3)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(s.State(), before) {
		t.Error("a cancelled frame set changed the memory")
	}
	if _, err := s.Answer(ctx, "what?", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	// What was cancelled half way must not be taken for complete.
	fresh := stream(t, s.Model())
	if err := fresh.SetState(before); err != nil {
		t.Fatal(err)
	}
	if x, y := ask(t, s, "what?"), ask(t, fresh, "what?"); x != y {
		t.Errorf("answers %q and %q", x, y)
	}
}

func TestSeeRefuses(t *testing.T) {
	s := stream(t, open(t, base, nil))
	see(t, s, 1)
	before := s.State()
	for name, views := range map[string][]image.Image{
		"no pictures":   {},
		"nil":           {picture(1), nil},
		"empty picture": {image.NewRGBA(image.Rect(0, 0, 0, 5))},
		"too many":      make([]image.Image, vlm.MaxViews+1),
	} {
		if err := s.See(context.Background(), views...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if !slices.Equal(s.State(), before) {
		t.Error("a refused frame set changed the memory")
	}
	if err := func() error { _, err := s.Answer(context.Background(), "Ελλάδα", nil); return err }(); err == nil {
		t.Error("a question outside the vocabulary was accepted")
	}
}

func TestOverflowKeepsTheMemory(t *testing.T) {
	m := tinymodel.New(base)
	for i := range m.Tensors {
		if m.Tensors[i].Name == "state_encoder.blocks.1.att.key.weight" {
			for j := range m.Tensors[i].Data {
				m.Tensors[i].Data[j] *= 3e38
			}
		}
	}
	text, _ := vocabulary()
	model, err := vlm.OpenBytes("huge", m.Safetensors(), &vlm.Options{Config: config(t), Vocab: text})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	s := stream(t, model)
	before := s.State()
	if err := s.See(context.Background(), picture(1)); !errors.Is(err, vlm.ErrNotFinite) {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(s.State(), before) || s.Frames() != 0 || s.Magnitude() != 0 {
		t.Error("the memory is not what it was")
	}
}

// TestFollow: answers that are followed again, together or one alone, have the same logits.
func TestFollow(t *testing.T) {
	s := stream(t, open(t, base, nil))
	see(t, s, 1)
	questions := []string{"what?", "where is it?", "caf\u00e9?", "what moved?"} // one that cannot be written
	follow := func(questions []string, tokens [][]int) (ids [][]int, logits [][]float32) {
		logits = make([][]float32, len(questions))
		ids, err := s.Follow(t.Context(), questions, tokens, 7, func(q int, l []float32) { logits[q] = append(logits[q], l...) })
		if err != nil {
			t.Fatal(err)
		}
		return ids, logits
	}
	tokens, logits := follow(questions, nil)
	again, same := follow(questions, tokens)
	if len(tokens[0]) == 0 || tokens[2] != nil || !reflect.DeepEqual(tokens, again) || !reflect.DeepEqual(logits, same) {
		t.Errorf("tokens %v, followed %v", tokens, again)
	}
	if one, alone := follow(questions[3:], tokens[3:]); !slices.Equal(one[0], tokens[3]) || !slices.Equal(alone[0], logits[3]) {
		t.Errorf("tokens %v, alone %v", tokens[3], one[0])
	}
}

// Streams of one model must not disturb each other.
func TestConcurrentStreams(t *testing.T) {
	m := open(t, base, func(o *vlm.Options) { o.Threads = 3 })
	const n = 4
	watch := func(i uint64) (string, []byte, error) {
		s, err := m.NewStream()
		if err != nil {
			return "", nil, err
		}
		for f := range uint64(3) {
			if err := s.See(context.Background(), picture(i), picture(i+f)); err != nil {
				return "", nil, err
			}
		}
		a, err := s.Answer(context.Background(), "what moved?", short)
		return a, s.State(), err
	}
	type result struct {
		text  string
		state []byte
		err   error
	}
	var got [n]result
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { got[i].text, got[i].state, got[i].err = watch(uint64(i)) })
	}
	group.Wait()
	for i := range n {
		text, state, err := watch(uint64(i))
		if err != nil || got[i].err != nil {
			t.Fatal(err, got[i].err)
		}
		if got[i].text != text || !slices.Equal(got[i].state, state) {
			t.Errorf("stream %d: %q beside others, %q alone", i, got[i].text, text)
		}
	}
}
