package vlm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/weights"
)

// Architecture is the value of general.architecture in model files.
const Architecture = "visualrwkv"

// Values of the authors' code for what a checkpoint does not say.
const (
	defaultImageToken    = 65535
	defaultStop          = 261 // "\n\n" in the RWKV World vocabulary
	defaultDecoderTokens = 64
	defaultEncoderTokens = 64
	defaultCaption       = "Describe the picture."
	maxContext           = 1 << 16 // tokens
)

// ErrConfig is wrapped by errors about hyperparameters that are missing, or
// that contradict the tensors.
var ErrConfig = errors.New("bad model configuration")

// Config holds what a model is besides its weights. The sizes follow from the
// shapes of tensors, the rest from the file's metadata.
type Config struct {
	Name    string
	License string // as the checkpoint says; empty where it does not
	Variant string // hybrid, hybrid-sigmoid, hybrid-oldest, cross, vanilla, bidirectional, rwkv7

	Vocab         int // rows of the embedding
	Width         int // C
	Blocks        int // decoder blocks
	EncoderBlocks int // 0 for models without a state encoder
	FFN           int // width inside channel mixing
	HeadSize      int

	ImageToken    int // id that stands for an image token in a prompt
	DecoderTokens int // image tokens per picture in the prompt, a square
	EncoderTokens int // image tokens per picture for the state encoder, a square
	Views         int // typical number of views, 0 for any

	// StateOnly, of cross models: pictures are seen through the image state alone. The
	// places for image tokens in a prompt keep the embedding of ImageToken.
	StateOnly bool

	Towers []Tower // in the order in which their features are concatenated

	Caption   string // the question that asks for a caption
	Lowercase bool   // questions are lowercased
	Context   int    // tokens of earlier captions that may stand before a question; 0: it was trained with none
	Stop      int    // token id that ends an answer

	// Tokens is the vocabulary, index = token id, each entry escaped: bytes
	// other than printable ASCII, and the backslash, written \xNN. Empty
	// where the file has none.
	Tokens []string
}

// bidirectional is the variant of v6.0: vanilla blocks behind CLIP's tower, of which every
// second sees the picture backwards.
const bidirectional = "bidirectional"

// readsImage reports whether the decoder's blocks read an image state.
func (c Config) readsImage() bool {
	switch c.Variant {
	case rwkv.Vanilla.String(), rwkv.RWKV7.String(), bidirectional:
		return false
	}
	return true
}

// MaxViews returns how many pictures a frame set can have: 1 for bidirectional models, which
// look at one, else [MaxViews].
func (c Config) MaxViews() int {
	if c.Variant == bidirectional {
		return 1
	}
	return MaxViews
}

// pictureTokens returns the image tokens of a picture in the prompt: those of the pooled
// grid, and in v6.0 the class token.
func (c Config) pictureTokens() int {
	if c.Variant == bidirectional {
		return c.DecoderTokens + 1
	}
	return c.DecoderTokens
}

// Tower describes a vision tower.
type Tower struct {
	Kind         string // siglip, dino, sam, clip
	ImageSize    int    // pixels per side
	PatchSize    int
	Width        int
	Blocks       int
	Heads        int
	FeatureBlock int    // index of the block whose output is taken
	Activation   string // gelu_erf, gelu_tanh, quick_gelu
	Mean, Std    [3]float32
}

// maxConfig bounds a configuration in JSON, of which a value can take sixty times
// its bytes in memory.
const maxConfig = 16 << 10

// ParseMetadata reads a JSON object with the keys of docs/model-file.md: what
// a checkpoint's file does not hold. The prefix "visualrwkv." may be left out.
// Unknown keys are an error, since a misspelt one would silently be a default. The error is a
// [*Problems] that lists all keys with which something is wrong.
func ParseMetadata(data []byte) (weights.Meta, error) {
	var p Problems
	md := parseMetadata(data, &p)
	if p.N > 0 {
		return nil, &p
	}
	return md, nil
}

// parseMetadata is [ParseMetadata]: it adds what is wrong to p and returns the rest.
func parseMetadata(data []byte, p *Problems) (md weights.Meta) {
	if len(data) > maxConfig {
		p.add("configuration: %d bytes, more than %d", len(data), maxConfig)
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var raw map[string]any
	if err := dec.Decode(&raw); err != nil {
		p.add("configuration: %.200v", err)
		return nil
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		p.add("configuration: something follows the object at byte %d", dec.InputOffset())
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		full := key
		if !strings.HasPrefix(key, "general.") && !strings.HasPrefix(key, "visualrwkv.") {
			full = "visualrwkv." + key
		}
		if !knownKey(full) {
			p.add("configuration: unknown key %.100q", key)
			continue
		}
		if md.Has(full) {
			p.add("configuration: key %q is given twice", full)
			continue
		}
		v, err := fromJSON(raw[key])
		if err != nil {
			p.add("configuration: key %q: %.200v", key, err)
			continue
		}
		md = append(md, weights.KV{Key: full, Value: v})
	}
	return md
}

// fromJSON converts a value to the type that it has in a GGUF file.
func fromJSON(v any) (weights.Value, error) {
	switch v := v.(type) {
	case string:
		return weights.String(v), nil
	case bool:
		return weights.Bool(v), nil
	case json.Number:
		n, err := strconv.ParseUint(v.String(), 10, 32)
		if err != nil {
			return weights.Value{}, fmt.Errorf("%.40s is not a whole number from 0 to %d", v, uint32(math.MaxUint32))
		}
		return weights.Uint32(uint32(n)), nil
	case []any:
		var texts []string
		var numbers []float32
		for _, e := range v {
			switch e := e.(type) {
			case string:
				texts = append(texts, e)
			case json.Number:
				f, err := strconv.ParseFloat(e.String(), 32)
				if err != nil {
					return weights.Value{}, fmt.Errorf("%.40s is no number of single precision", e)
				}
				numbers = append(numbers, float32(f))
			}
		}
		switch len(v) {
		case len(texts):
			return weights.Strings(texts), nil
		case len(numbers):
			return weights.Float32s(numbers), nil
		}
		return weights.Value{}, errors.New("array of other things than texts or numbers")
	}
	return weights.Value{}, errors.New("not a text, number, truth value or array")
}

// Keys of docs/model-file.md.
const (
	keyName          = "general.name"
	keyLicense       = "general.license"
	keyArch          = "general.architecture"
	keyVariant       = "visualrwkv.variant"
	keyVocab         = "visualrwkv.vocab_size"
	keyBlocks        = "visualrwkv.block_count"
	keyWidth         = "visualrwkv.embedding_length"
	keyFFN           = "visualrwkv.feed_forward_length"
	keyHeadSize      = "visualrwkv.wkv.head_size"
	keyEncoderBlocks = "visualrwkv.state_encoder.block_count"
	keyImageToken    = "visualrwkv.image.token_index"
	keyDecoderTokens = "visualrwkv.image.decoder_tokens"
	keyEncoderTokens = "visualrwkv.image.encoder_tokens"
	keyViews         = "visualrwkv.image.views"
	keyFillFeatures  = "visualrwkv.image.fill_features"
	keyTowers        = "visualrwkv.vision.towers"
	keyVision        = "visualrwkv.vision."
	keyCaption       = "visualrwkv.prompt.caption"
	keyLowercase     = "visualrwkv.prompt.questions_lowercase"
	keyContext       = "visualrwkv.prompt.context_tokens"
	keyStop          = "visualrwkv.prompt.stop"
	keyTokenizer     = "tokenizer.ggml.model"
	keyTokens        = "tokenizer.ggml.tokens"
)

var (
	scalarKeys = []string{
		keyName, keyLicense, keyArch, keyVariant, keyVocab, keyBlocks, keyWidth, keyFFN, keyHeadSize, keyEncoderBlocks,
		keyImageToken, keyDecoderTokens, keyEncoderTokens, keyViews, keyFillFeatures, keyTowers, keyCaption, keyLowercase, keyContext, keyStop,
	}
	towerKinds = []string{"dino", "siglip", "sam", "clip"} // order of concatenation
	towerKeys  = []string{
		"image_size", "patch_size", "embedding_length", "block_count", "head_count",
		"feature_block", "activation", "image_mean", "image_std",
	}
)

func knownKey(k string) bool {
	if slices.Contains(scalarKeys, k) {
		return true
	}
	kind, key, ok := strings.Cut(strings.TrimPrefix(k, keyVision), ".")
	return ok && slices.Contains(towerKinds, kind) && slices.Contains(towerKeys, key)
}

// reader takes values out of metadata and collects what is wrong with them.
type reader struct {
	md       weights.Meta
	problems *Problems
}

func (r *reader) fail(key, format string, args ...any) {
	r.problems.add("key %q: %s", key, fmt.Sprintf(format, args...))
}

// value decodes a key, or returns fallback where it is absent.
func value[T any](r *reader, key string, fallback T, decode func(weights.Value) (T, error)) T {
	v, ok := r.md.Get(key)
	if !ok {
		return fallback
	}
	x, err := decode(v)
	if err != nil {
		r.fail(key, "%v", err)
		return fallback
	}
	return x
}

func (r *reader) text(key, fallback string) string {
	return value(r, key, fallback, weights.Value.Str)
}

func (r *reader) texts(key string, fallback []string) []string {
	return value(r, key, fallback, weights.Value.Strs)
}

// number returns a count in [lo, hi].
func (r *reader) number(key string, fallback, lo, hi int) int {
	v := value(r, key, int64(fallback), weights.Value.Int)
	if v < int64(lo) || v > int64(hi) {
		r.fail(key, "%d is not in %d to %d", v, lo, hi)
		return fallback
	}
	return int(v)
}

// derived returns a size that follows from the tensors; metadata may repeat it
// but not contradict it.
func (r *reader) derived(key string, size int) int {
	if v := value(r, key, int64(size), weights.Value.Int); v != int64(size) {
		r.fail(key, "says %d, the tensors say %d", v, size)
	}
	return size
}

func (r *reader) triple(key string, fallback [3]float32) [3]float32 {
	v := value(r, key, fallback[:], weights.Value.Float32s)
	if len(v) != 3 {
		r.fail(key, "has %d values, want 3", len(v))
		return fallback
	}
	return [3]float32(v)
}
