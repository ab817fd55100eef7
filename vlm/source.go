package vlm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/checkpoint"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/weights"
)

// Source is a checkpoint to be converted: one or more files of which some may be vision
// towers as their own libraries name them, or a language model of llama.cpp's. See
// docs/model-file.md for what is recognised.
type Source struct {
	files  []*weights.File
	ckpt   *checkpoint.Checkpoint
	shapes *shapes
}

// OpenSource opens the files of a checkpoint, in any order. Tensors may be missing or
// misshapen; [Source.Convert] tells.
func OpenSource(paths ...string) (*Source, error) {
	files, err := weights.OpenEach(paths...)
	if err != nil {
		return nil, err
	}
	s, err := NewSource(files...)
	if err != nil {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
		return nil, err
	}
	return s, nil
}

// NewSource makes a source of open files, each opened by itself. Closing the source closes
// them.
func NewSource(files ...*weights.File) (*Source, error) {
	c, err := checkpoint.Read(files)
	if err != nil {
		return nil, err
	}
	return &Source{files: files, ckpt: c, shapes: newShapes(c.Weights)}, nil
}

// Format returns "pth", "safetensors" or "gguf", that of the first file.
func (s *Source) Format() string { return s.files[0].Format() }

// Foreign names what of the source is in the names of another library, and not a model file
// or one of the authors' checkpoints.
func (s *Source) Foreign() []string {
	var all []string
	for _, kind := range s.ckpt.Towers {
		all = append(all, "a "+kind+" tower")
	}
	if s.ckpt.GGML {
		all = append(all, "a language model of llama.cpp's")
	}
	return all
}

// Close closes the files.
func (s *Source) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Describe works out the configuration of the model to be made, as [Describe] does for a
// file. What one block lacks, or has in another shape than most, does not matter here. Blocks
// of towers behind the one whose features are taken do not count: they are left out.
//
// Where something is wrong with the configuration, the error lists what is wrong with the
// tensors too, as far as their names and shapes tell.
func (s *Source) Describe(config, vocab []byte) (Config, error) {
	md := s.ckpt.Meta
	for _, kind := range s.ckpt.Towers {
		md = s.towerMeta(md, kind)
	}
	var p Problems
	c, err := describe(s.shapes, md, config, vocab, &p)
	for i := range c.Towers {
		c.Towers[i].Blocks = c.Towers[i].FeatureBlock + 1
	}
	if err == nil && p.N > 0 {
		s.weights(c, &p)
		p.Notes = s.Notes(c)
	}
	return c, p.with(err)
}

// publishedSize is the side of the pictures that the authors give to the published towers of
// patches of 14, which were made for others.
const publishedSize = 448

// towerMeta fits a model's metadata to a tower that comes in a file of its own.
func (s *Source) towerMeta(md weights.Meta, kind string) weights.Meta {
	var out weights.Meta
	for _, kv := range md {
		if kv.Key != keyTowers {
			out = append(out, kv)
		}
	}
	n := vision.NamesOf(kind)
	key := keyVision + kind + ".image_size"
	patch := s.shapes.Shape(n.Prefix + n.Patch + ".weight")
	if len(patch) != 4 || patch[3] != 14 || out.Has(key) {
		return out
	}
	depth := s.shapes.blocks[n.Prefix+n.Blocks]
	if kind == "dino" && patch[0] == 1024 && depth == 24 || kind == "siglip" && patch[0] == 1152 && depth == 27 {
		out = append(out, weights.KV{Key: key, Value: weights.Uint32(publishedSize)})
	}
	return out
}

// shapes answers for the tensors of a checkpoint that may be damaged: blocks that follow
// each other are taken to be alike, so that a tensor of one has the shape that most have.
type shapes struct {
	exact  map[string][]int
	common map[string][]int // by name with * for the block's number
	blocks map[string]int   // number of blocks by prefix, such as "rwkv.blocks."
}

// newShapes counts a block if it has at least a quarter of the tensors that the fullest has:
// a stray name must not make a thousand blocks be missed.
func newShapes(list []checkpoint.Weight) *shapes {
	s := &shapes{exact: map[string][]int{}, common: map[string][]int{}, blocks: map[string]int{}}
	type blockKey struct {
		prefix string
		block  int
	}
	sizes := map[blockKey]int{}
	fullest := map[string]int{}
	votes := map[string]map[string]int{}
	for i := range list {
		name, shape := list[i].Name, list[i].Shape
		s.exact[name] = shape
		prefix, block, rest, ok := splitBlock(name)
		if !ok {
			continue
		}
		k := blockKey{prefix, block}
		sizes[k]++
		fullest[prefix] = max(fullest[prefix], sizes[k])
		name = prefix + "*" + rest
		v := votes[name]
		if v == nil {
			v = map[string]int{}
			votes[name] = v
		}
		text := fmt.Sprint(shape)
		if v[text]++; s.common[name] == nil || v[text] > v[fmt.Sprint(s.common[name])] {
			s.common[name] = shape
		}
	}
	for k, n := range sizes {
		if 4*n >= fullest[k.prefix] {
			s.blocks[k.prefix] = max(s.blocks[k.prefix], k.block+1)
		}
	}
	return s
}

// splitBlock takes a name such as "rwkv.blocks.3.att.key.weight" apart.
func splitBlock(name string) (prefix string, block int, rest string, ok bool) {
	for _, s := range []string{"blocks.", "layers."} {
		i := strings.Index(name, s)
		if i < 0 {
			continue
		}
		i += len(s)
		j := i
		for j < len(name) && j < i+4 && '0' <= name[j] && name[j] <= '9' {
			block = 10*block + int(name[j]-'0')
			j++
		}
		if j > i && j < len(name) && name[j] == '.' {
			return name[:i], block, name[j:], true
		}
	}
	return "", 0, "", false
}

// Shape implements [quant.Loader].
func (s *shapes) Shape(name string) []int {
	prefix, block, rest, ok := splitBlock(name)
	if !ok {
		return s.exact[name]
	}
	if block >= s.blocks[prefix] {
		return nil
	}
	return s.common[prefix+"*"+rest]
}

var errShapes = errors.New("only shapes are known")

// Matrix implements [quant.Loader].
func (s *shapes) Matrix(string, int, int) (*quant.Matrix, error) { return nil, errShapes }

// Vector implements [quant.Loader].
func (s *shapes) Vector(string, int) ([]float32, error) { return nil, errShapes }
