package vlm_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

func describe(t *testing.T, s tinymodel.Spec, config string, extra ...tinymodel.Tensor) (vlm.Config, error) {
	t.Helper()
	m := tinymodel.New(s)
	m.Tensors = append(m.Tensors, extra...)
	f, err := weights.OpenBytes("tiny", m.Safetensors())
	if err != nil {
		t.Fatal(err)
	}
	var c []byte
	if config != "" {
		c = []byte(config)
	}
	return vlm.Describe(f, c, nil)
}

func TestDerivedConfig(t *testing.T) {
	c, err := describe(t, base, `{"vision.siglip.head_count": 2}`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Variant != "hybrid" || c.Vocab != 120 || c.Width != 64 || c.HeadSize != 32 || c.FFN != 96 || c.Blocks != 2 || c.EncoderBlocks != 2 {
		t.Errorf("sizes %+v", c)
	}
	// The authors' defaults, cut to what 16 patches and 120 tokens allow.
	if c.ImageToken != 119 || c.Stop != 119 || c.DecoderTokens != 16 || c.EncoderTokens != 16 {
		t.Errorf("defaults %+v", c)
	}
	tower := vlm.Tower{
		Kind: "siglip", ImageSize: 32, PatchSize: 8, Width: 32, Blocks: 2, Heads: 2, FeatureBlock: 0,
		Activation: "gelu_erf", Mean: [3]float32{.5, .5, .5}, Std: [3]float32{.5, .5, .5},
	}
	if len(c.Towers) != 1 || c.Towers[0] != tower || c.Grid() != 4 {
		t.Errorf("towers %+v", c.Towers)
	}
}

func TestConfigErrors(t *testing.T) {
	for config, want := range map[string]string{
		`{"image.decoder_tokens": 17}`:                    "16",
		`{"image.decoder_tokens": 0}`:                     "1 to",
		`{"image.decoder_tokens": -1}`:                    `decoder_tokens": -1 is not a whole number from 0 to 4294967295`,
		`{"vision.siglip.image_mean": [1, 1e99, 1]}`:      "1e99",
		`{"image.decoder_tokens": "many"}`:                "decoder_tokens",
		`{"image.token_index": 120}`:                      "119",
		`{"block_count": 3}`:                              "says 3",
		`{"visualrwkv.variant": "cross"}`:                 "cross",
		`{"image.decoder_tokns": 4}`:                      "unknown key",
		`{"image.fill_features": false}`:                  "cross",
		`{"image.views": 2} {}`:                           "follows",
		`{"vision.eye.image_size": 4}`:                    "unknown key",
		`{"vision.siglip.image_size": 33}`:                "multiple",
		`{"vision.siglip.head_count": 5}`:                 "divide",
		`{"vision.siglip.feature_block": 2}`:              "feature_block",
		`{"vision.siglip.image_mean": [1, 2]}`:            "want 3",
		`{"vision.towers": ["dino"]}`:                     "dino",
		`{"stop": 1`:                                      "EOF",
		`{"prompt.stop": 1, "visualrwkv.prompt.stop": 1}`: "twice",
		`{"prompt.stop": null}`:                           "not a text",
		`{"prompt.caption": ["a", 1]}`:                    "array",
		`{"general.architecture": "llama"}`:               "llama",
		`{"vision.siglip.activation": "relu"}`:            "activation",
	} {
		_, err := describe(t, base, config)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", config, err, want)
		} else if !errors.Is(err, vlm.ErrConfig) {
			t.Errorf("%s: %v does not wrap ErrConfig", config, err)
		}
	}
}

// TestConfigProblems: faults that have nothing to do with each other are one error, each once,
// of the JSON's keys, of their values and of the vocabulary.
func TestConfigProblems(t *testing.T) {
	f, err := weights.OpenBytes("tiny", tinymodel.New(base).Safetensors())
	if err != nil {
		t.Fatal(err)
	}
	_, err = vlm.Describe(f, []byte(`{"prompt.stop": 120, "vision.siglip.head_count": 5, "vision.siglip.activation": "relu",
		"image.decoder_tokens": 17, "image.token_index": 200, "prompt.capton": "?", "prompt.context_tokens": [], "block_count": 3,
		"vision.towers": ["sam"], "visualrwkv.variant": "cross"}`), []byte("1 'a' 1\n500 'b' 1\n"))
	problems, ok := errors.AsType[*vlm.Problems](err)
	if !ok || !errors.Is(err, vlm.ErrConfig) {
		t.Fatal(err)
	}
	for _, want := range []string{
		`prompt.stop": 120 is not in 0 to 119`, `head_count": 5 does not divide`, `activation": `, `decoder_tokens": 17 is not in 1 to 16`,
		`token_index": 200 is not`, `unknown key "prompt.capton"`, `block_count": says 3`, `vision.towers": says ["sam"]`, `says cross`,
		"vocabulary has ids up to 500, the model 120 tokens", `prompt.context_tokens"`,
	} {
		if n := strings.Count(err.Error(), want); n != 1 {
			t.Errorf("%q is %d times in %v", want, n, err)
		}
	}
	if problems.N != 11 {
		t.Errorf("%d problems", problems.N)
	}
}

// TestConfigViews: a model that looks at one picture cannot be made for frame sets of two.
func TestConfigViews(t *testing.T) {
	spec := base
	spec.Variant, spec.GatedProjector = "bidirectional", false
	if c, err := describe(t, spec, `{"image.views": 1}`); err != nil || c.Views != 1 {
		t.Errorf("%d views, %v", c.Views, err)
	}
	if _, err := describe(t, spec, `{"image.views": 2}`); err == nil || !strings.Contains(err.Error(), "2 is not in 0 to 1") {
		t.Errorf("two views: %v", err)
	}
}

func one(name string, shape ...int) tinymodel.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return tinymodel.Tensor{Name: name, Shape: shape, Data: make([]float32, n)}
}

// Known models that do not run must say what they are.
func TestUnsupportedModels(t *testing.T) {
	text, _ := vocabulary()
	for want, extra := range map[string][]tinymodel.Tensor{
		"CLIP": {
			one("vit.vision_model.embeddings.patch_embedding.weight", 8, 3, 4, 4),
			one("vit.vision_model.embeddings.position_embedding.weight", 17, 8),
			one("vit.vision_model.encoder.layers.0.layer_norm1.weight", 8),
		},
	} {
		m := tinymodel.New(base)
		m.Tensors = append(m.Tensors, extra...)
		_, err := vlm.OpenBytes("tiny", m.Safetensors(), &vlm.Options{Config: config(t), Vocab: text})
		if !errors.Is(err, vlm.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestMissingTensorsAreNamed(t *testing.T) {
	text, _ := vocabulary()
	whole := tinymodel.New(base)
	for i, missing := range whole.Tensors {
		m := *whole
		m.Tensors = append(append([]tinymodel.Tensor(nil), whole.Tensors[:i]...), whole.Tensors[i+1:]...)
		model, err := vlm.OpenBytes("tiny", m.Safetensors(), &vlm.Options{Config: config(t), Vocab: text})
		if err == nil {
			model.Close()
			if dead(missing.Name) {
				continue
			}
			t.Errorf("opened without %s", missing.Name)
		}
	}
}

// dead tells the weights that no result depends on: the last block of the
// tower, its final norm, and in the encoder's last block all that does not
// lead to its state.
func dead(name string) bool {
	if rest, ok := strings.CutPrefix(name, "vit.siglip_featurizer."); ok {
		return strings.HasPrefix(rest, "norm.") || strings.HasPrefix(rest, "blocks.1.")
	}
	rest, ok := strings.CutPrefix(name, "state_encoder.blocks.1.")
	if !ok {
		return false
	}
	for _, p := range []string{"ln2.", "ffn.", "att.ln_x.", "att.receptance", "att.gate", "att.output", "att.time_faaaa"} {
		if strings.HasPrefix(rest, p) {
			return true
		}
	}
	return false
}

// TestContext: a file says how many tokens of captions its model reads, and that changes
// nothing of what a memory is.
func TestContext(t *testing.T) {
	plain := open(t, base, nil)
	if plain.Config().Context != 0 {
		t.Errorf("reads %d tokens unless it says so", plain.Config().Context)
	}
	reads := open(t, base, func(o *vlm.Options) { o.Config = append([]byte(`{"prompt.context_tokens": 512, `), o.Config[1:]...) })
	if reads.Config().Context != 512 || reads.Fingerprint() != plain.Fingerprint() {
		t.Errorf("reads %d tokens, fingerprints %x and %x", reads.Config().Context, reads.Fingerprint(), plain.Fingerprint())
	}
}

func TestNoVocabularyNoTower(t *testing.T) {
	blind := base
	blind.Image = 0
	m := open(t, blind, func(o *vlm.Options) { o.Config = nil })
	s := stream(t, m)
	if err := s.See(t.Context(), picture(1)); !errors.Is(err, vlm.ErrConfig) {
		t.Errorf("a model without a tower saw: %v", err)
	}
	if i := m.Info(); i.Vision || !i.Text {
		t.Errorf("info %+v", i)
	}
	ask(t, s, "hello") // text alone is fine

	if n, err := s.Model().Tokens("hello"); n == 0 || err != nil {
		t.Errorf("hello is %d tokens, %v", n, err)
	}

	mute := open(t, base, func(o *vlm.Options) { o.Vocab = nil })
	s = stream(t, mute)
	see(t, s, 1)
	if _, err := s.Answer(t.Context(), "hello", nil); !errors.Is(err, vlm.ErrConfig) {
		t.Errorf("a model without a vocabulary answered: %v", err)
	}
	if _, err := mute.Tokens("hello"); !errors.Is(err, vlm.ErrConfig) {
		t.Errorf("a model without a vocabulary counted: %v", err)
	}
}

// fullConfig has a value of each kind.
const fullConfig = `{"general.name": "m", "visualrwkv.image.views": 2, "prompt.questions_lowercase": true,
	"vision.siglip.image_mean": [0.5, 0.5, 1e-1], "vision.towers": ["siglip"], "prompt.caption": "What is in the picture? \u00e4"}`

// parseConfig reads data, which must be refused clearly or give known keys,
// within the bounds of memory.
func parseConfig(t testing.TB, data []byte) (ok bool) {
	t.Helper()
	var md weights.Meta
	var err error
	if used := hostile.Allocated(hostile.Budget(len(data)), func() { md, err = vlm.ParseMetadata(data) }); used > hostile.Budget(len(data)) {
		t.Fatalf("%d bytes allocated for a configuration of %d", used, len(data))
	}
	if err != nil && (!errors.Is(err, vlm.ErrConfig) || len(err.Error()) > 32<<10) {
		t.Fatalf("unclear error %v", err)
	}
	for _, kv := range md {
		if !strings.HasPrefix(kv.Key, "general.") && !strings.HasPrefix(kv.Key, "visualrwkv.") {
			t.Fatalf("key %q", kv.Key)
		}
	}
	return err == nil
}

func TestConfigMutations(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	accepted := 0
	for range 1000 {
		if parseConfig(t, hostile.Damage(rng, []byte(fullConfig), "[", "{", "\"", "1e999", "-1", "4294967296", "null", ",", "\\u0000")) {
			accepted++
		}
	}
	if accepted == 0 || accepted > 500 {
		t.Errorf("%d of 1000 are accepted", accepted)
	}
	for _, bomb := range []string{
		`{"vision.towers": ` + strings.Repeat("[", 16000) + "}",
		`{"vision.siglip.image_mean": [` + strings.Repeat("1,", 8000) + "1]}",
		`{` + strings.Repeat(`"a":1,`, 2500) + `"b":1}`,
		`{"` + strings.Repeat("k", 16000) + `": 1}`,
		`{"general.name": "` + strings.Repeat("n", 64<<10) + `"}`,
	} {
		parseConfig(t, []byte(bomb))
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte(fullConfig))
	f.Fuzz(func(t *testing.T, data []byte) { parseConfig(t, data) })
}
