package vlm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/quant"
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
	w := &converter{progress: progress, pool: quant.NewPool(0)}
	defer w.pool.Close()
	list := tensors.List(f)
	types := make([]quant.Type, len(list))
	var infos []weights.TensorInfo
	for i, t := range list {
		var err error
		if types[i], err = tensorType(t, typ); err != nil {
			return err
		}
		w.total += t.Size()
		infos = append(infos, tensorInfos(t, types[i])...)
	}
	return weights.WriteGGUF(path, fileMeta(f.Meta(), c, typ), infos, func(g *weights.GGUFWriter) error {
		for i, t := range list {
			if err := w.weight(g, t, types[i]); err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
		}
		return nil
	})
}

// tensorInfos describes the tensors that hold t as type to.
func tensorInfos(t tensors.Weight, to quant.Type) []weights.TensorInfo {
	if !to.Packed() {
		return []weights.TensorInfo{{Name: t.Name, Type: weights.DType(to), Shape: t.Shape}}
	}
	parts := tensors.Parts(to, t.Shape[0], t.Shape[1])
	for i := range parts {
		parts[i].Name = t.Name + parts[i].Name
	}
	return parts
}

// fileMeta is the configuration, the type, and what else the source said about
// itself (author, licence, ...).
func fileMeta(source weights.Meta, c Config, typ quant.Type) weights.Meta {
	own := c.Metadata()
	md := slices.Clone(own[:2]) // general.architecture and general.name
	md = append(md, weights.KV{Key: "general.file_type", Value: weights.Uint32(fileTypes[typ])})
	if typ == quant.Q8_0 || typ == quant.Q4_0 || typ.Packed() {
		md = append(md, weights.KV{Key: "general.quantization_version", Value: weights.Uint32(2)})
	}
	for _, kv := range source {
		if strings.HasPrefix(kv.Key, "general.") && kv.Key != "general.alignment" && !md.Has(kv.Key) {
			md = append(md, kv)
		}
	}
	return append(md, own[2:]...)
}
