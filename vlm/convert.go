package vlm

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/weights"
)

// ConvertTypes are the types that [Convert] can give to the large matrices.
var ConvertTypes = []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0, quant.Q4_0}

// fileTypes are the values of general.file_type, which llama.cpp's tools show.
var fileTypes = map[quant.Type]uint32{quant.F32: 0, quant.F16: 1, quant.Q4_0: 2, quant.Q8_0: 7, quant.BF16: 32}

// Convert writes the model in f, described by c, to a GGUF file at path that
// needs nothing beside it. The file appears whole or not at all.
//
// typ is the type of the large matrices. What is small or sensitive keeps more
// digits, as docs/model-file.md tells. progress, if not nil, is called with the
// bytes of source tensors done and in all.
func Convert(path string, f *weights.File, c Config, typ quant.Type, progress func(done, total int64)) error {
	if _, ok := fileTypes[typ]; !ok {
		return fmt.Errorf("cannot convert to %v", typ)
	}
	for _, t := range c.Towers {
		if t.Heads == 0 {
			return fmt.Errorf("key %q cannot be told from the tensors and must be given: %w", keyVision+t.Kind+".head_count", ErrConfig)
		}
	}
	w := &converter{progress: progress}
	var infos []weights.TensorInfo
	for _, t := range f.Tensors() {
		to, err := tensorType(t, typ)
		if err != nil {
			return err
		}
		w.total += int64(t.Size())
		infos = append(infos, weights.TensorInfo{Name: t.Name, Type: weights.DType(to), Shape: t.Shape})
	}
	return weights.WriteGGUF(path, fileMeta(f.Meta(), c, typ), infos, func(g *weights.GGUFWriter) error {
		for i, t := range f.Tensors() {
			if err := w.tensor(g, t, quant.Type(infos[i].Type)); err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
		}
		return nil
	})
}

// fileMeta is the configuration, the type, and what else the source said about
// itself (author, licence, ...).
func fileMeta(source weights.Meta, c Config, typ quant.Type) weights.Meta {
	own := c.Metadata()
	md := slices.Clone(own[:2]) // general.architecture and general.name
	md = append(md, weights.KV{Key: "general.file_type", Value: weights.Uint32(fileTypes[typ])})
	if typ == quant.Q8_0 || typ == quant.Q4_0 {
		md = append(md, weights.KV{Key: "general.quantization_version", Value: weights.Uint32(2)})
	}
	for _, kv := range source {
		if strings.HasPrefix(kv.Key, "general.") && kv.Key != "general.alignment" && !md.Has(kv.Key) {
			md = append(md, kv)
		}
	}
	return append(md, own[2:]...)
}

// smallTensor is the number of values up to which a tensor is not worth
// rounding.
const smallTensor = 1024

// tensorType decides the type of one tensor in a file of type typ.
func tensorType(t *weights.Tensor, typ quant.Type) (quant.Type, error) {
	switch quant.Type(t.Type) {
	case quant.F32, quant.F16, quant.BF16, quant.Q8_0, quant.Q4_0:
	default:
		if strings.HasSuffix(t.Name, "position_ids") && t.Type == weights.I64 {
			return quant.Type(weights.I64), nil // of old CLIP towers; copied
		}
		return 0, fmt.Errorf("tensor %s: cannot convert type %v: %w", t.Name, t.Type, weights.ErrFormat)
	}
	half := quant.F16
	if typ == quant.BF16 {
		half = quant.BF16
	}
	switch {
	case typ == quant.F32 || vectorLike(t) || t.Len() < smallTensor || strings.HasSuffix(t.Name, "time_faaaa"):
		return quant.F32, nil
	case len(t.Shape) != 2 || typ == half || lowRankName(t.Name) || t.Shape[1]%32 != 0:
		// Block types run along the last dimension, so that convolutions
		// (patch embeddings) and odd widths cannot have them.
		return half, nil
	case typ == quant.Q4_0 && (strings.HasSuffix(t.Name, "emb.weight") || strings.HasSuffix(t.Name, "head.weight")):
		// Each of their rows is one token's only chance; they cost little more
		// in eight bits, since an embedding is read one row at a time.
		return quant.Q8_0, nil
	}
	return typ, nil
}

// vectorLike reports whether at most one dimension is larger than one: norms,
// biases, lerps, decays.
func vectorLike(t *weights.Tensor) bool {
	wide := 0
	for _, d := range t.Shape {
		if d != 1 {
			wide++
		}
	}
	return wide < 2
}

func lowRankName(name string) bool {
	for _, s := range []string{"time_maa_w1", "time_maa_w2", "time_decay_w1", "time_decay_w2", "time_mem_w1", "time_mem_w2", "pos_embed"} {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	// RWKV-7 calls its LoRAs att.w1, att.a2, ...
	i := strings.LastIndexByte(name, '.')
	return strings.HasSuffix(name[:max(i, 0)], ".att") && len(name)-i == 3 && (name[len(name)-1] == '1' || name[len(name)-1] == '2')
}

// converter converts tensors piece by piece.
type converter struct {
	done, total int64
	progress    func(done, total int64)
	values      []float32
	bytes       []byte
}

// pieceValues is how many values are converted at a time, if rows are not
// longer.
const pieceValues = 1 << 20

func (w *converter) tensor(g *weights.GGUFWriter, t *weights.Tensor, to quant.Type) error {
	if err := g.Begin(t.Name); err != nil {
		return err
	}
	if weights.DType(to) == t.Type {
		if _, err := t.WriteTo(g); err != nil {
			return err
		}
		w.report(int64(t.Size()))
		return nil
	}
	cols := 1
	if len(t.Shape) > 0 {
		cols = t.Shape[len(t.Shape)-1]
	}
	rows := t.Len() / max(cols, 1)
	step := max(1, pieceValues/max(cols, 1))
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		v := grow(&w.values, n*cols)
		if err := read(t, v, r*cols); err != nil {
			return err
		}
		if to == quant.F16 {
			if i := slices.IndexFunc(v, tooLargeForHalf); i >= 0 {
				return fmt.Errorf("value %d, %g, does not fit half precision; convert to bf16 or f32: %w", r*cols+i, v[i], ErrConfig)
			}
		}
		size, err := to.RowBytes(len(v))
		if err != nil {
			return err
		}
		w.bytes = slices.Grow(w.bytes[:0], size)[:size]
		if err := quant.Quantize(to, w.bytes, v); err != nil {
			return fmt.Errorf("from value %d: %w", r*cols, err)
		}
		if _, err := g.Write(w.bytes); err != nil {
			return err
		}
		w.report(int64(t.Size()) * int64(n) / int64(rows))
	}
	return nil
}

func tooLargeForHalf(v float32) bool {
	return math.Abs(float64(v)) >= 65520 && !math.IsInf(float64(v), 0)
}

// read widens values of t from element first on; first and the count are whole
// rows.
func read(t *weights.Tensor, dst []float32, first int) error {
	typ := quant.Type(t.Type)
	if typ != quant.Q8_0 && typ != quant.Q4_0 {
		return t.Float32At(dst, first)
	}
	data, err := t.Data()
	if err != nil {
		return err
	}
	a, err := typ.RowBytes(first)
	if err != nil {
		return err
	}
	n, err := typ.RowBytes(len(dst))
	if err != nil {
		return err
	}
	return quant.Dequantize(typ, dst, data[a:a+n])
}

func (w *converter) report(n int64) {
	w.done += n
	if w.progress != nil {
		w.progress(w.done, w.total)
	}
}
