package vlm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/checkpoint"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// ConvertTypes are the types that [Convert] can give to the large matrices.
var ConvertTypes = []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0, quant.Q4_0, quant.P8, quant.P4}

// fileTypes are the values of general.file_type, which llama.cpp's tools show. They
// have none for the packed types; 1024 stands for a type that is not named.
var fileTypes = map[quant.Type]uint32{
	quant.F32: 0, quant.F16: 1, quant.Q4_0: 2, quant.Q8_0: 7, quant.BF16: 32, quant.P8: 1024, quant.P4: 1024,
}

// Convert writes a model of c, which [Source.Describe] made, to a GGUF file at path that
// needs nothing beside it. The file appears whole or not at all, not when ctx ends before. What is wrong with the
// checkpoint is one error, a [*Problems]: tensors that are missing or of wrong shapes, values
// that are not finite or do not fit their type.
//
// typ is the type of the large matrices. What is small or sensitive keeps more
// digits, as docs/model-file.md tells. progress, if not nil, is called with the
// bytes read and to be read: files are read once for their SHA-256, tensors once more.
//
// Besides what the kernel keeps of files, memory is bounded by the largest tensor, whatever
// the size of the checkpoint.
func (s *Source) Convert(ctx context.Context, path string, c Config, typ quant.Type, progress func(done, total int64)) error {
	return s.convert(ctx, path, c, conversion{typ: typ, progress: progress})
}

// conversion tells convert what to make.
type conversion struct {
	typ      quant.Type
	packed   map[string]*quant.Matrix // matrices that are packed already
	meta     weights.Meta             // besides that of the configuration
	progress func(done, total int64)
}

// convert is [Source.Convert].
func (s *Source) convert(ctx context.Context, path string, c Config, o conversion) error {
	if _, ok := fileTypes[o.typ]; !ok {
		return fmt.Errorf("cannot convert to %v", o.typ)
	}
	w := &converter{ctx: ctx, files: s.files, progress: o.progress, packed: o.packed, pool: quant.NewPool(0)}
	defer w.pool.Close()
	list := s.weights(c, &w.problems)
	for i := range list {
		w.total += list[i].Size()
	}
	if w.problems.N > 0 {
		return w.scan(list, s.Notes(c))
	}
	types := make([]quant.Type, len(list))
	var infos []weights.TensorInfo
	for i := range list {
		types[i] = tensorType(&list[i], o.typ)
		if m := o.packed[list[i].Name]; m != nil {
			types[i] = m.Type()
		}
		infos = append(infos, tensorInfos(&list[i], types[i])...)
	}
	origins, err := s.origins(w)
	if err != nil {
		return err
	}
	return weights.WriteGGUF(path, append(fileMeta(s.ckpt.Meta, c, o.typ, origins), o.meta...), infos, func(g *weights.GGUFWriter) error {
		for i := range list {
			err := w.weight(g, &list[i], types[i])
			if errors.Is(err, errValues) { // look for others, but write no more
				return w.scan(list[i+1:], s.Notes(c))
			}
			if err != nil {
				return fmt.Errorf("tensor %s: %w", list[i].Name, err)
			}
		}
		return nil
	})
}

// weights returns those of the checkpoint that a model of c has, as they will be in its
// file, and adds what is missing or misshapen to p.
func (s *Source) weights(c Config, p *Problems) []checkpoint.Weight {
	list := slices.Clone(s.ckpt.Weights)
	for i := range list {
		resample(&list[i], c)
	}
	return s.check(list, c, p)
}

// tensorInfos describes the tensors that hold t as type to.
func tensorInfos(t *checkpoint.Weight, to quant.Type) []weights.TensorInfo {
	if !to.Packed() {
		return []weights.TensorInfo{{Name: t.Name, Type: weights.DType(to), Shape: t.Shape}}
	}
	parts := tensors.Parts(to, t.Shape[0], t.Shape[1])
	for i := range parts {
		parts[i].Name = t.Name + parts[i].Name
	}
	return parts
}

// fileMeta is the configuration, the type, where the model comes from, and what else the
// source said about itself (author, ...).
func fileMeta(source weights.Meta, c Config, typ quant.Type, origins []Origin) weights.Meta {
	general := func(kv weights.KV) bool { return strings.HasPrefix(kv.Key, "general.") }
	own := c.Metadata()
	md := slices.DeleteFunc(slices.Clone(own), func(kv weights.KV) bool { return !general(kv) })
	md = append(md, weights.KV{Key: "general.file_type", Value: weights.Uint32(fileTypes[typ])})
	if typ == quant.Q8_0 || typ == quant.Q4_0 || typ.Packed() {
		md = append(md, weights.KV{Key: "general.quantization_version", Value: weights.Uint32(2)})
	}
	md = append(md, originMeta(origins)...)
	for _, kv := range source {
		if general(kv) && kv.Key != "general.alignment" && !md.Has(kv.Key) {
			md = append(md, kv)
		}
	}
	return append(md, slices.DeleteFunc(own, general)...)
}
