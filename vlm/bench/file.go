package bench

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/visualrwkv/edged/internal/layout"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// modelFile is a random GGUF file to be.
type modelFile struct {
	name  string // in the cache
	meta  weights.Meta
	parts []part
}

// layoutVersion is part of the names of cached files: a change of what is written
// must change it.
const layoutVersion = "4"

func fileName(name string, typ quant.Type, pure bool, kind string) string {
	if pure {
		kind = "-pure" + kind
	}
	return fmt.Sprintf("%s-%v%s.%s.gguf", name, typ, kind, layoutVersion)
}

// languageFile is a model that `edged inspect` and [vlm.Open] take: with a
// vocabulary, since reading it is part of a start, and without a tower.
func languageFile(s Shape, typ quant.Type, pure bool) modelFile {
	c := vlm.Config{
		Name: "random " + s.Name, Variant: "vanilla",
		Vocab: s.Vocab, Width: s.Width, Blocks: s.Layers, FFN: s.FFN, HeadSize: headSize,
		ImageToken: s.Vocab - 1, DecoderTokens: 64, EncoderTokens: 64, Stop: 261,
		Caption: "Describe the picture.", Tokens: vocabulary(s.Vocab),
	}
	return modelFile{fileName(s.Name, typ, pure, ""), c.Metadata(), collect(s.language(), typ, pure)}
}

// towerFile holds a vision tower and nothing else.
func towerFile(t Tower, typ quant.Type, pure bool) modelFile {
	meta := weights.Meta{
		{Key: "general.architecture", Value: weights.String(vlm.Architecture)},
		{Key: "general.name", Value: weights.String("random " + t.Name)},
	}
	return modelFile{fileName(t.Name, typ, pure, "-tower"), meta, collect(t.Tensors(), typ, pure)}
}

func collect(list layout.List, typ quant.Type, pure bool) []part {
	var all []part
	for _, t := range list {
		all = append(all, partsOf(t, typ, pure)...)
	}
	return all
}

// vocabulary makes n tokens: end of text, the bytes, words of the lengths usual in
// RWKV's, and no token for the last id, which stands for pictures.
func vocabulary(n int) []string {
	list := make([]string, n)
	list[0] = "<s>"
	for i := range 256 {
		list[1+i] = fmt.Sprintf(`\x%02x`, i)
	}
	r := newNoise("vocabulary")
	for i := 257; i < n-1; i++ {
		word := []byte(strconv.Itoa(i))
		for range r.next() % 8 {
			word = append(word, 'a'+byte(r.next()%26))
		}
		list[i] = string(word)
	}
	return list
}

// pieceBytes is how much is made and written at a time.
const pieceBytes = 1 << 20

// write makes the file. progress gets the bytes done and in all.
func (m *modelFile) write(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	infos := make([]weights.TensorInfo, len(m.parts))
	var total, done int64
	for i, p := range m.parts {
		infos[i] = p.TensorInfo
		size, err := p.Type.Size(p.Shape)
		if err != nil {
			return err
		}
		total += int64(size)
	}
	g, err := weights.NewGGUFWriter(w, m.meta, infos)
	if err != nil {
		return err
	}
	buf := make([]byte, pieceBytes)
	for _, p := range m.parts {
		left, err := p.Type.Size(p.Shape)
		if err != nil {
			return err
		}
		if err := g.Begin(p.Name); err != nil {
			return err
		}
		r := newNoise(p.Name)
		for left > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			piece := buf[:min(left, len(buf)/p.unit*p.unit)]
			p.fill(r, piece)
			if _, err := g.Write(piece); err != nil {
				return err
			}
			left -= len(piece)
			done += int64(len(piece))
			progress(done, total)
		}
	}
	return g.Close()
}
