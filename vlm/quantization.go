package vlm

import (
	"fmt"
	"math"

	"github.com/visualrwkv/edged/weights"
)

// Quantization is what is known about how a file was made smaller: part of its metadata,
// under visualrwkv.quantization.
type Quantization struct {
	Type        string  `json:"type"` // int8, int4 or mixed
	Bits        float64 `json:"bits"` // per value of packed matrices, scales included
	Calibration string  `json:"calibration"`

	// How far the next tokens are from the original's, on what was not part of the
	// calibration; 0 Tokens if that was not measured.
	KLMean float64 `json:"kl_mean"` // Kullback-Leibler divergence, nats
	KLMax  float64 `json:"kl_max"`
	Top1   float64 `json:"top1"` // fraction of positions with the same most likely token
	Tokens int     `json:"tokens"`

	Results  []QuantizationResult `json:"results,omitempty"`
	Matrices []QuantizedMatrix    `json:"matrices"`
}

// QuantizationResult is one measurement of both models, a fraction of what was right.
type QuantizationResult struct {
	Name      string  `json:"name"`
	Original  float64 `json:"original"`
	Quantized float64 `json:"quantized"`
}

// QuantizedMatrix is about one packed matrix. Errors are squared errors of the products
// relative to their squares, on the calibration's inputs and on one in eight of the row
// tiles; 0 for a matrix that was not used there and was rounded to nearest.
type QuantizedMatrix struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Error   float64 `json:"error"`
	Nearest float64 `json:"nearest"` // the error of rounding to nearest with the scales of `edged convert`
	// Divergence of the model with this matrix alone in int4; 0 where that was not tried.
	Divergence float64 `json:"divergence,omitempty"`
}

const keyQuantization = "visualrwkv.quantization."

// report collects what rounding has found.
func (q *quantizer) report() *Quantization {
	r := &Quantization{Type: q.Type.String(), Calibration: q.Calibration}
	if q.Bits != 0 {
		r.Type = "mixed"
	}
	var values, bytes int64
	for _, j := range q.jobs {
		m := j.rounded[j.use]
		values += int64(j.w.Len())
		bytes += packedBytes(m.Matrix)
		r.Matrices = append(r.Matrices, QuantizedMatrix{j.w.Name, m.Type().String(), m.err, m.nearest, j.divergence})
	}
	if values > 0 {
		r.Bits = 8 * float64(bytes) / float64(values)
	}
	return r
}

// metadata returns r as it stands in a file.
func (r *Quantization) metadata() weights.Meta {
	var md weights.Meta
	add := func(key string, v weights.Value) {
		md = append(md, weights.KV{Key: keyQuantization + key, Value: v})
	}
	add("type", weights.String(r.Type))
	add("bits", weights.Float32(float32(r.Bits)))
	add("calibration", weights.String(r.Calibration))
	if r.Tokens > 0 {
		add("kl_mean", weights.Float32(float32(r.KLMean)))
		add("kl_max", weights.Float32(float32(r.KLMax)))
		add("top1", weights.Float32(float32(r.Top1)))
		add("tokens", weights.Uint32(uint32(r.Tokens)))
	}
	var names, types []string
	var columns [3][]float32
	for _, x := range r.Results {
		names = append(names, x.Name)
		columns[0] = append(columns[0], float32(x.Original))
		columns[1] = append(columns[1], float32(x.Quantized))
	}
	if len(names) > 0 {
		add("results", weights.Strings(names))
		add("results.original", weights.Float32s(columns[0]))
		add("results.quantized", weights.Float32s(columns[1]))
	}
	names, columns = nil, [3][]float32{}
	for _, m := range r.Matrices {
		names, types = append(names, m.Name), append(types, m.Type)
		columns[0] = append(columns[0], float32(m.Error))
		columns[1] = append(columns[1], float32(m.Nearest))
		columns[2] = append(columns[2], float32(m.Divergence))
	}
	if len(names) > 0 {
		add("matrices", weights.Strings(names))
		add("matrices.type", weights.Strings(types))
		add("matrices.error", weights.Float32s(columns[0]))
		add("matrices.nearest", weights.Float32s(columns[1]))
		add("matrices.divergence", weights.Float32s(columns[2]))
	}
	return md
}

// ReadQuantization returns what the metadata of a file say about its quantisation, nil if
// they say nothing.
func ReadQuantization(md weights.Meta) (*Quantization, error) {
	if !md.Has(keyQuantization + "type") {
		return nil, nil
	}
	k := keys{md: md}
	r := &Quantization{
		Type: k.str("type"), Bits: k.single("bits"), Calibration: k.str("calibration"),
		KLMean: k.single("kl_mean"), KLMax: k.single("kl_max"), Top1: k.single("top1"), Tokens: k.count("tokens"),
	}
	names := k.strs("results", -1)
	original, quantized := k.singles("results.original", len(names)), k.singles("results.quantized", len(names))
	for i := 0; k.err == nil && i < len(names); i++ {
		r.Results = append(r.Results, QuantizationResult{names[i], float64(original[i]), float64(quantized[i])})
	}
	names = k.strs("matrices", -1)
	types, errs := k.strs("matrices.type", len(names)), k.singles("matrices.error", len(names))
	nearest, divergence := k.singles("matrices.nearest", len(names)), k.singles("matrices.divergence", len(names))
	for i := 0; k.err == nil && i < len(names); i++ {
		r.Matrices = append(r.Matrices, QuantizedMatrix{names[i], types[i], float64(errs[i]), float64(nearest[i]), float64(divergence[i])})
	}
	return r, k.err
}

// keys reads keys of a quantisation, of which any may be absent, and keeps the first
// error.
type keys struct {
	md  weights.Meta
	err error
}

// read decodes a key into v, unless it is absent; a list must have n elements, if n is
// not negative.
func read[T any](k *keys, key string, decode func(string) (T, error), n int, size func(T) int) (v T) {
	key = keyQuantization + key
	if k.err != nil || !k.md.Has(key) && n < 1 {
		return v
	}
	if v, k.err = decode(key); k.err == nil && n >= 0 && size(v) != n {
		k.err = fmt.Errorf("key %q has %d values, want %d: %w", key, size(v), n, ErrConfig)
	}
	return v
}

func (k *keys) str(key string) string { return read(k, key, k.md.Str, -1, nil) }

func (k *keys) count(key string) int { return int(read(k, key, k.md.Uint32, -1, nil)) }

func (k *keys) single(key string) float64 {
	v := read(k, key, k.md.Float, -1, nil)
	k.finite(key, v)
	return v
}

// finite refuses what JSON has no number for.
func (k *keys) finite(key string, v float64) {
	if k.err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		k.err = fmt.Errorf("key %q has the value %v: %w", keyQuantization+key, v, ErrConfig)
	}
}

func (k *keys) strs(key string, n int) []string {
	return read(k, key, k.md.Strs, n, func(v []string) int { return len(v) })
}

func (k *keys) singles(key string, n int) []float32 {
	list := read(k, key, k.md.Float32s, n, func(v []float32) int { return len(v) })
	for _, v := range list {
		k.finite(key, float64(v))
	}
	return list
}
