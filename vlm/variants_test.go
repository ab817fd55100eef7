package vlm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/tokenizer"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/prompt"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// variants are all that run; what is tested over them holds for each.
var variants = []string{"hybrid", "hybrid-sigmoid", "hybrid-oldest", "cross", "vanilla", "rwkv7"}

// eachVariant runs f on a tiny model of each variant.
func eachVariant(t *testing.T, f func(t *testing.T, spec tinymodel.Spec)) {
	for _, v := range variants {
		t.Run(v, func(t *testing.T) {
			spec := base
			spec.Variant = v
			f(t, spec)
		})
	}
}

func TestStateAnswersAndGoesOn(t *testing.T) {
	eachVariant(t, func(t *testing.T, spec tinymodel.Spec) {
		a := stream(t, open(t, spec, nil))
		see(t, a, 1, 2)
		see(t, a, 3, 4)
		saved := a.State()
		if len(saved) != a.StateSize() {
			t.Errorf("state of %d bytes, said %d", len(saved), a.StateSize())
		}

		b := stream(t, open(t, spec, nil)) // the model opened anew: after a restart
		if err := b.SetState(saved); err != nil {
			t.Fatal(err)
		}
		if b.Frames() != 2 || b.Views() != 2 {
			t.Errorf("%d frame sets of %d views", b.Frames(), b.Views())
		}
		if !slices.Equal(b.State(), saved) {
			t.Error("state of the restored stream differs")
		}
		if x, y := ask(t, a, "what is it?"), ask(t, b, "what is it?"); x != y {
			t.Errorf("answers %q and %q", x, y)
		}
		see(t, a, 5, 6)
		see(t, b, 5, 6)
		if !slices.Equal(a.State(), b.State()) {
			t.Error("memories differ after another frame set")
		}
		if len(a.State()) != len(saved) {
			t.Errorf("state grew from %d to %d bytes", len(saved), len(a.State()))
		}
		if x, y := ask(t, a, "and now?"), ask(t, b, "and now?"); x != y {
			t.Errorf("later answers %q and %q", x, y)
		}
		a.Reset()
		if !slices.Equal(a.State(), stream(t, open(t, spec, nil)).State()) {
			t.Error("a reset stream is not as new")
		}
	})
}

func TestQuestionsDoNotDisturb(t *testing.T) {
	eachVariant(t, func(t *testing.T, spec tinymodel.Spec) {
		m := open(t, spec, nil)
		quiet, asked := stream(t, m), stream(t, m)
		for i := range uint64(3) {
			see(t, quiet, i, i+10)
			see(t, asked, i, i+10)
			for _, q := range []string{"how many?", "what left?", "describe the room."} {
				ask(t, asked, q)
			}
			for range asked.Generate(context.Background(), "stop early", nil) {
				break
			}
			if x, y := ask(t, quiet, "describe the room."), ask(t, asked, "describe the room."); x != y {
				t.Errorf("captions %q and %q", x, y)
			}
			if !slices.Equal(quiet.State(), asked.State()) {
				t.Fatal("a question changed the memory")
			}
		}
	})
}

func TestAnswersTogether(t *testing.T) {
	eachVariant(t, func(t *testing.T, spec tinymodel.Spec) {
		for _, o := range []*vlm.GenOptions{short, {MaxTokens: 9, Temperature: 1.5, TopP: 0.9, Seed: 3}} {
			s := stream(t, open(t, spec, nil))
			see(t, s, 1)
			var questions []string
			for i := range 11 {
				questions = append(questions, strings.Repeat("what? ", i%4)+fmt.Sprint(i))
			}
			got, err := s.Answers(context.Background(), questions, o)
			if err != nil {
				t.Fatal(err)
			}
			for i, q := range questions {
				one := *o
				one.Seed += uint64(i)
				want, err := s.Answer(context.Background(), q, &one)
				if err != nil {
					t.Fatal(err)
				}
				if got[i] != want {
					t.Errorf("question %d: %q together, %q alone", i, got[i], want)
				}
			}
		}
	})
}

// A model without a state encoder carries the decoder's state, and that is exact: frame sets
// one by one equal all pictures in one prompt of the authors' form. So that the test knows
// the image tokens, the projector gives the same for every picture.
func TestCarriedDecoderEqualsOnePrompt(t *testing.T) {
	ctx := context.Background()
	for _, variant := range []string{"vanilla", "rwkv7"} {
		spec := base
		spec.Variant = variant
		tiny := tinymodel.New(spec)
		row := make([]float32, 64)
		for _, x := range tiny.Tensors {
			switch x.Name {
			case "proj.o_proj.weight":
				if variant == "vanilla" {
					clear(x.Data)
				}
			case "proj.ln_v.weight":
				clear(x.Data)
			case "proj.ln_v.bias":
				copy(row, x.Data)
			}
		}
		text, _ := vocabulary()
		m, err := vlm.OpenBytes("tiny", tiny.Safetensors(), &vlm.Options{Config: config(t), Vocab: text})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		s := stream(t, m)
		sets := [][]uint64{{1}, {2, 3}, slices.Repeat([]uint64{4}, 20), {5}}
		pictures := 0
		for _, set := range sets {
			see(t, s, set...)
			pictures += len(set)
		}
		const tokens = 6
		var got [][]float32
		ids, err := s.Follow(ctx, []string{"what?"}, nil, tokens, func(_ int, l []float32) { got = append(got, slices.Clone(l)) })
		if err != nil {
			t.Fatal(err)
		}

		d, err := decoder.New(tiny, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := m.Config()
		v, err := tokenizer.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		f := prompt.Format{Vocabulary: v, ImageToken: c.ImageToken, ImageTokens: c.DecoderTokens}
		p, err := f.Build(prompt.Turn{Question: "what?", Images: pictures})
		if err != nil {
			t.Fatal(err)
		}
		w, state, logits := rwkv.NewWork(quant.NewScratch(nil), nil), d.NewState(), make([]float32, d.Vocab())
		rows := slices.Repeat(row, pictures*c.DecoderTokens)
		if err := d.Prefill(ctx, w, state, nil, decoder.Prompt{IDs: p.IDs, ImageID: c.ImageToken, Rows: rows}, logits); err != nil {
			t.Fatal(err)
		}
		for i, id := range ids[0] {
			if !slices.Equal(logits, got[i]) {
				t.Fatalf("%s: logits of token %d differ", variant, i)
			}
			if err := d.Step(ctx, w, []decoder.Seq{{State: state, Token: id, Logits: logits}}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// With fill_features false a cross model sees pictures through the image state alone: the
// prompt has the embedding of the image token where they stand.
func TestPureCrossState(t *testing.T) {
	ctx := context.Background()
	spec := base
	spec.Variant = "cross"
	pure := func(o *vlm.Options) {
		o.Config = append([]byte(`{"image.fill_features": false,`), o.Config[1:]...)
	}
	m := open(t, spec, pure)
	s, filled := stream(t, m), stream(t, open(t, spec, nil))
	see(t, s, 1, 2)
	see(t, s, 3)
	see(t, filled, 1, 2)
	see(t, filled, 3)
	if !slices.Equal(s.ImageState(), filled.ImageState()) {
		t.Error("the image state depends on whether the prompt is filled")
	}
	var got []float32
	if _, err := s.Follow(ctx, []string{"what?"}, [][]int{{1}}, 0, func(_ int, l []float32) { got = slices.Clone(l) }); err != nil {
		t.Fatal(err)
	}
	var other []float32
	if _, err := filled.Follow(ctx, []string{"what?"}, [][]int{{1}}, 0, func(_ int, l []float32) { other = slices.Clone(l) }); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(got, other) {
		t.Error("filling the prompt changes nothing")
	}

	d, err := decoder.New(tinymodel.New(spec), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := vocabulary()
	v, err := tokenizer.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	f := prompt.Format{Vocabulary: v, ImageToken: m.Config().ImageToken, ImageTokens: m.Config().DecoderTokens}
	p, err := f.Build(prompt.Turn{Question: "what?", Images: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, d.Vocab())
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	if err := d.Prefill(ctx, w, d.NewState(), s.ImageState(), decoder.Prompt{IDs: p.IDs, ImageID: -1}, want); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("logits are not those of the bare prompt")
	}

	again := stream(t, open(t, spec, pure))
	if err := again.SetState(s.State()); err != nil {
		t.Fatal(err)
	}
	if a, b := ask(t, s, "what?"), ask(t, again, "what?"); a != b {
		t.Errorf("answers %q and, restored, %q", a, b)
	}
	if err := filled.SetState(s.State()); err == nil {
		t.Error("a model that fills the prompt took the state of one that does not")
	}
}

// A model of v6.0 looks at one picture, with the question before it and after it, and keeps
// nothing of the picture before.
func TestBidirectionalModel(t *testing.T) {
	ctx := context.Background()
	spec := base
	spec.Variant, spec.L, spec.GatedProjector = "bidirectional", 3, false
	m := open(t, spec, nil)
	c := m.Config()
	if c.Variant != spec.Variant {
		t.Fatalf("variant %s", c.Variant)
	}
	s, newest := stream(t, m), stream(t, m)
	if err := s.See(ctx, picture(1), picture(2)); err == nil || !strings.Contains(err.Error(), "takes 1 at most") {
		t.Errorf("two pictures: %v", err)
	}
	see(t, s, 1)
	ask(t, s, "what is it?")
	see(t, s, 2)
	see(t, newest, 2)
	if a, b := ask(t, s, "what?"), ask(t, newest, "what?"); a != b {
		t.Errorf("answers %q with a picture before, %q without", a, b)
	}

	// The same from the image tokens, by the decoder alone.
	saved := s.State()
	rows := make([]float32, (c.DecoderTokens+1)*c.Width)
	if len(saved) != 68+4*len(rows)+4 {
		t.Fatalf("state of %d bytes", len(saved))
	}
	if err := rwkv.DecodeFloats(rows, saved[68:len(saved)-4]); err != nil {
		t.Fatal(err)
	}
	d, err := decoder.New(tinymodel.New(spec), &decoder.Options{Bidirectional: true})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := vocabulary()
	v, err := tokenizer.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	f := prompt.Format{Vocabulary: v, ImageToken: c.ImageToken, ImageTokens: c.DecoderTokens + 1, Sandwich: true}
	p, err := f.Build(prompt.Turn{Question: "what?", Images: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, d.Vocab())
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	if err := d.Prefill(ctx, w, d.NewState(), nil, decoder.Prompt{IDs: p.IDs, ImageID: c.ImageToken, Rows: rows}, want); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Follow(ctx, []string{"what?"}, [][]int{{1}}, 0, func(_ int, l []float32) {
		if !slices.Equal(l, want) {
			t.Error("logits are not those of the prompt")
		}
	}); err != nil {
		t.Fatal(err)
	}

	// A saved state, several questions together, a question about nothing.
	again := stream(t, open(t, spec, nil))
	blind := ask(t, again, "what?")
	if err := again.SetState(saved); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.State(), saved) {
		t.Error("state of the restored stream differs")
	}
	questions := []string{"what?", "how many?", "where is it?"}
	got, err := again.Answers(ctx, questions, short)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range questions {
		if want := ask(t, s, q); got[i] != want {
			t.Errorf("%q: %q restored and together, %q alone", q, got[i], want)
		}
	}
	if blind == got[0] {
		t.Error("the picture makes no difference")
	}
	if !slices.Equal(s.State(), saved) {
		t.Error("a question changed the memory")
	}
	if _, err := s.Answer(ctx, strings.Repeat("what? ", decoder.MaxBidirectional/6), short); err == nil || !strings.Contains(err.Error(), "tokens") {
		t.Errorf("a question longer than any prompt: %v", err)
	}
	if s.Reset(); len(s.State()) != 72 {
		t.Errorf("a reset stream has %d bytes", len(s.State()))
	}
}
