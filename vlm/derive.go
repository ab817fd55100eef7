package vlm

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/tokenizer"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/encoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/vlm/preprocess"
	"github.com/visualrwkv/edged/weights"
)

// maxPatches bounds the image tokens of models whose file has no tower.
const maxPatches = 1 << 12

// derive works out a model's configuration from its tensors and metadata, with vocab in RWKV's
// text format or nil for the vocabulary of the metadata. What is wrong with a value is added to
// p, and the default stands in for it, so that whatever else is wrong is found too. The error
// is about tensors that tell nothing.
func derive(l quant.Loader, md weights.Meta, vocab []byte, p *Problems) (Config, error) {
	r := &reader{md, p}
	if a := r.text(keyArch, Architecture); a != Architecture {
		return Config{}, fmt.Errorf("model of architecture %q, want %q: %w", a, Architecture, ErrConfig)
	}
	c := Config{Name: r.text(keyName, ""), License: r.text(keyLicense, r.text("license", ""))}
	if err := c.sizes(l); err != nil {
		return Config{}, err
	}
	r.derived(keyVocab, c.Vocab)
	r.derived(keyBlocks, c.Blocks)
	r.derived(keyWidth, c.Width)
	r.derived(keyFFN, c.FFN)
	r.derived(keyHeadSize, c.HeadSize)
	r.derived(keyEncoderBlocks, c.EncoderBlocks)
	if err := c.towers(l, r); err != nil {
		return Config{}, err
	}
	clip := slices.ContainsFunc(c.Towers, func(t Tower) bool { return t.Kind == "clip" })
	if clip && c.Variant == rwkv.Vanilla.String() {
		c.Variant = bidirectional
	}
	if v := r.text(keyVariant, c.Variant); v != c.Variant {
		r.fail(keyVariant, "says %.40s, the tensors say %s", v, c.Variant)
	}
	patches := maxPatches
	if len(c.Towers) > 0 {
		patches = c.Grid() * c.Grid()
	}
	n := p.N
	c.ImageToken = r.number(keyImageToken, min(defaultImageToken, c.Vocab-1), 0, c.Vocab-1)
	imageToken := p.N == n
	tokens := min(defaultDecoderTokens, patches)
	if c.Variant == bidirectional {
		tokens = patches // not pooled
	}
	c.DecoderTokens = square(r.number(keyDecoderTokens, tokens, 1, patches))
	c.EncoderTokens = square(r.number(keyEncoderTokens, min(defaultEncoderTokens, patches), 1, patches))
	c.Views = r.number(keyViews, 0, 0, c.MaxViews())
	c.StateOnly = !value(r, keyFillFeatures, true, weights.Value.Bool)
	if c.StateOnly && c.Variant != rwkv.Cross.String() {
		r.fail(keyFillFeatures, "false is for cross models, this one is %s", c.Variant)
	}
	c.Caption = r.text(keyCaption, defaultCaption)
	c.Lowercase = value(r, keyLowercase, false, weights.Value.Bool)
	c.Context = r.number(keyContext, 0, 0, maxContext)
	c.Stop = r.number(keyStop, min(defaultStop, c.Vocab-1), 0, c.Vocab-1)
	c.vocabulary(r, vocab)
	if imageToken && c.ImageToken < len(c.Tokens) && c.Tokens[c.ImageToken] != "" {
		p.add("image token %d is a token of the vocabulary", c.ImageToken)
	}
	return c, nil
}

// vocabulary fills in the tokens, of vocab or else of the metadata.
func (c *Config) vocabulary(r *reader, vocab []byte) {
	c.Tokens = r.texts(keyTokens, nil)
	if m := r.text(keyTokenizer, "rwkv"); m != "rwkv" {
		r.fail(keyTokenizer, "%q is not a tokenizer this program knows", m)
	}
	if len(c.Tokens) > tokenizer.MaxID+1 {
		r.fail(keyTokens, "%d tokens, at most %d", len(c.Tokens), tokenizer.MaxID+1)
	}
	if vocab != nil {
		v, err := tokenizer.Parse(vocab)
		if err != nil {
			r.problems.add("%v", err)
			return
		}
		c.Tokens = v.Tokens()
	}
	if len(c.Tokens) > c.Vocab {
		r.problems.add("vocabulary has ids up to %d, the model %d tokens", len(c.Tokens)-1, c.Vocab)
	}
}

// square returns the largest square not above n, which is what pooling to a
// budget of n tokens leaves.
func square(n int) int {
	s := vision.Side(n)
	return s * s
}

// sizes fills in what the language model's tensors say.
func (c *Config) sizes(l quant.Loader) error {
	emb := l.Shape(decoder.Prefix + "emb.weight")
	if len(emb) != 2 || emb[0] < 1 || emb[1] < 1 {
		return fmt.Errorf("tensor %semb.weight: shape %v, want [vocabulary, width]: no language model in the file", decoder.Prefix, emb)
	}
	c.Vocab, c.Width = emb[0], emb[1]
	c.Blocks = rwkv.CountBlocks(l, decoder.Prefix)
	c.EncoderBlocks = encoder.Count(l)
	v, err := rwkv.Detect(l, decoder.Prefix)
	if err != nil {
		return err
	}
	d, err := rwkv.DimsOf(l, decoder.Prefix)
	if err != nil {
		return err
	}
	if d.C != c.Width {
		return fmt.Errorf("tensor %semb.weight is %d wide, the blocks %d", decoder.Prefix, c.Width, d.C)
	}
	c.Variant, c.FFN, c.HeadSize = v.String(), d.F, d.N
	return nil
}

func (c *Config) towers(l quant.Loader, r *reader) error {
	var found []string
	for _, kind := range towerKinds {
		if vision.Found(kind, l) {
			found = append(found, kind)
		}
	}
	order := r.texts(keyTowers, found)
	if a, b := slices.Sorted(slices.Values(order)), slices.Sorted(slices.Values(found)); !slices.Equal(a, b) {
		r.fail(keyTowers, "says %.20q, the tensors say %q", order[:min(len(order), 8)], found)
		order = found
	}
	for _, kind := range order {
		t, err := tower(l, r, kind)
		if err != nil {
			return err
		}
		c.Towers = append(c.Towers, t)
	}
	return nil
}

func tower(l quant.Loader, r *reader, kind string) (Tower, error) {
	s, err := vision.SizesOf(kind, l)
	if err != nil {
		return Tower{}, err
	}
	t := Tower{Kind: kind, Width: s.Width, PatchSize: s.Patch, Blocks: s.Blocks}
	k := keyVision + kind + "."
	t.ImageSize = r.number(k+"image_size", s.Side*s.Patch, s.Patch, 1<<13)
	if t.ImageSize%t.PatchSize != 0 {
		r.fail(k+"image_size", "%d is not a multiple of the patch, %d", t.ImageSize, t.PatchSize)
	}
	r.derived(k+"patch_size", t.PatchSize)
	r.derived(k+"embedding_length", t.Width)
	r.derived(k+"block_count", t.Blocks)
	t.Heads = r.number(k+"head_count", s.Heads, min(s.Heads, 1), t.Width)
	if t.Heads > 0 && t.Width%t.Heads != 0 {
		r.fail(k+"head_count", "%d does not divide the width, %d", t.Heads, t.Width)
	}
	last, act := t.Blocks-1, "gelu_erf"
	feature, first := max(last-1, 0), 0
	mean, std := preprocess.ImageNetMean, preprocess.ImageNetStd
	switch kind {
	case "siglip":
		mean, std = preprocess.HalfMean, preprocess.HalfStd
	case "sam":
		feature, first = last, last // its neck follows the last block
	case "clip":
		feature, act = last, "quick_gelu"
		mean, std = preprocess.CLIPMean, preprocess.CLIPStd
	}
	t.FeatureBlock = r.number(k+"feature_block", feature, first, last)
	t.Activation = r.text(k+"activation", act)
	if _, err := vision.ParseActivation(t.Activation); err != nil {
		r.fail(k+"activation", "%.100v", err)
	}
	t.Mean = r.triple(k+"image_mean", mean)
	t.Std = r.triple(k+"image_std", std)
	return t, nil
}

// Metadata returns the entries that make a model file of c, in the order in
// which they should be written.
func (c Config) Metadata() weights.Meta {
	var md weights.Meta
	put := func(key string, v weights.Value) { md = append(md, weights.KV{Key: key, Value: v}) }
	number := func(key string, n int) { put(key, weights.Uint32(uint32(n))) }
	put(keyArch, weights.String(Architecture))
	put(keyName, weights.String(c.Name))
	if c.License != "" {
		put(keyLicense, weights.String(c.License))
	}
	put(keyVariant, weights.String(c.Variant))
	number(keyVocab, c.Vocab)
	number(keyBlocks, c.Blocks)
	number(keyWidth, c.Width)
	number(keyFFN, c.FFN)
	number(keyHeadSize, c.HeadSize)
	number(keyEncoderBlocks, c.EncoderBlocks)
	number(keyImageToken, c.ImageToken)
	number(keyDecoderTokens, c.DecoderTokens)
	number(keyEncoderTokens, c.EncoderTokens)
	number(keyViews, c.Views)
	put(keyFillFeatures, weights.Bool(!c.StateOnly))
	var kinds []string
	for _, t := range c.Towers {
		kinds = append(kinds, t.Kind)
	}
	put(keyTowers, weights.Strings(kinds))
	for _, t := range c.Towers {
		k := keyVision + t.Kind + "."
		number(k+"image_size", t.ImageSize)
		number(k+"patch_size", t.PatchSize)
		number(k+"embedding_length", t.Width)
		number(k+"block_count", t.Blocks)
		number(k+"head_count", t.Heads)
		number(k+"feature_block", t.FeatureBlock)
		put(k+"activation", weights.String(t.Activation))
		put(k+"image_mean", weights.Float32s(t.Mean[:]))
		put(k+"image_std", weights.Float32s(t.Std[:]))
	}
	put(keyCaption, weights.String(c.Caption))
	put(keyLowercase, weights.Bool(c.Lowercase))
	if c.Context > 0 {
		number(keyContext, c.Context)
	}
	number(keyStop, c.Stop)
	if len(c.Tokens) > 0 {
		put(keyTokenizer, weights.String("rwkv"))
		put(keyTokens, weights.Strings(c.Tokens))
	}
	return md
}

// Grid returns the side of the feature grid of a picture, 0 without towers.
func (c Config) Grid() int {
	if len(c.Towers) == 0 {
		return 0
	}
	return c.Towers[0].grid()
}

// grid returns the side of a tower's grid of features.
func (t Tower) grid() int {
	g := t.ImageSize / t.PatchSize
	if t.Kind == "sam" {
		g /= 2
	}
	return g
}

// String returns the variant and sizes in one line.
func (c Config) String() string {
	s := fmt.Sprintf("%s, %d blocks of %d, %d encoder blocks, vocabulary %d", c.Variant, c.Blocks, c.Width, c.EncoderBlocks, c.Vocab)
	for _, t := range c.Towers {
		s += ", " + t.Kind + " " + strconv.Itoa(t.ImageSize)
	}
	return s
}
