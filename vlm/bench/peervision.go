package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/visualrwkv/edged/internal/layout"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/weights"
)

// peerPictures is how many pictures the peer encodes in a run; the first only warms it up.
const peerPictures = 3

// encoded is the line of llama-mtmd-cli for each picture.
var encoded = regexp.MustCompile(`encoding done in (\d+) ms`)

// towerPeer returns llama-mtmd-cli, which lies beside llama-bench, with a tower of the
// same shape: of the type that is fastest there. It has no class and register tokens.
func (b *bencher) towerPeer(ctx context.Context, t Tower) (*peer, error) {
	if b.Peer == "" {
		return nil, nil
	}
	if t.Kind == "sam" {
		return nil, fmt.Errorf("tower %q is not among those that the peer runs", t.Name)
	}
	language, err := ParseShape(tiny)
	if err != nil {
		return nil, err
	}
	text, err := obtain(ctx, b.Cache, peerFile(language, quant.Q8_0, false), b.Tell)
	if err != nil {
		return nil, err
	}
	picture := filepath.Join(b.Cache, fmt.Sprintf("picture-%d.png", t.Image))
	if err := weights.WriteFile(picture, func(w io.Writer) error { return writePicture(w, t.Image) }); err != nil {
		return nil, err
	}
	program := filepath.Join(filepath.Dir(b.Peer), "llama-mtmd-cli")
	var best *peer
	var least time.Duration
	for _, typ := range []quant.Type{quant.F16, quant.Q8_0, quant.Q4_0} {
		path, err := obtain(ctx, b.Cache, peerTowerFile(t, typ, language.Width), b.Tell)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		b.Tell(fmt.Sprintf("trying the peer with %s in %v", t.Name, typ))
		p := mtmd(program, text, path, picture, info.Size())
		d, err := p.run(ctx, &Row{What: Vision, Threads: b.Threads})
		if err != nil {
			return nil, err
		}
		if best == nil || d < least {
			best, least = p, d
		}
	}
	return best, nil
}

// mtmd is llama-mtmd-cli with a language model, which hardly computes, and a tower.
func mtmd(path, text, model, picture string, bytes int64) *peer {
	return &peer{path: path, model: model, bytes: bytes,
		args: func(r *Row) []string {
			args := []string{"-m", text, "--mmproj", model, "-t", strconv.Itoa(r.Threads), "-n", "1", "-p", "x", "--chat-template", "vicuna"}
			for range peerPictures {
				args = append(args, "--image", picture)
			}
			return args
		},
		time: func(_ *Row, stdout, stderr []byte) (time.Duration, error) { return parseEncoded(stdout, stderr) },
	}
}

// parseEncoded returns the median time of the pictures after the first.
func parseEncoded(stdout, stderr []byte) (time.Duration, error) {
	lines := encoded.FindAllSubmatch(bytes.Join([][]byte{stdout, stderr}, []byte("\n")), -1)
	if len(lines) != peerPictures {
		return 0, fmt.Errorf("output tells of %d pictures, want %d", len(lines), peerPictures)
	}
	var times []time.Duration
	for _, l := range lines[1:] {
		ms, err := strconv.Atoi(string(l[1]))
		if err != nil {
			return 0, err
		}
		times = append(times, time.Duration(ms)*time.Millisecond)
	}
	if d := median(times); d > 0 {
		return d, nil
	}
	return 0, errors.New("output says that pictures take no time")
}

// writePicture writes a square PNG.
func writePicture(w io.Writer, size int) error {
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	r := newNoise("picture")
	for y := range size {
		for x := range size {
			v := r.next()
			img.SetRGBA(x, y, color.RGBA{byte(v), byte(v >> 8), byte(v >> 16), 255})
		}
	}
	return png.Encode(w, img)
}

// peerTowerFile is a random tower as llama.cpp takes it: its "clip" architecture with
// a LLaVA projector into width values. Such a graph leaves out the last block, so there
// is one more than it is to compute.
func peerTowerFile(t Tower, typ quant.Type, width int) modelFile {
	var md weights.Meta
	put := func(key string, v weights.Value) { md = append(md, weights.KV{Key: key, Value: v}) }
	put("general.architecture", weights.String("clip"))
	put("general.name", weights.String("random "+t.Name))
	put("clip.has_vision_encoder", weights.Bool(true))
	put("clip.projector_type", weights.String("mlp"))
	put("clip.use_gelu", weights.Bool(t.Activation == "gelu_erf"))
	number := func(key string, n int) { put("clip.vision."+key, weights.Uint32(uint32(n))) }
	number("embedding_length", t.Width)
	number("feed_forward_length", t.MLP)
	number("block_count", t.Depth+1)
	number("projection_dim", width)
	number("attention.head_count", t.Heads)
	number("image_size", t.Image)
	number("patch_size", t.Patch)
	put("clip.vision.attention.layer_norm_epsilon", weights.Float32(1e-6))
	half := weights.Float32s([]float32{0.5, 0.5, 0.5})
	put("clip.vision.image_mean", half)
	put("clip.vision.image_std", half)
	return modelFile{fileName(t.Name, typ, false, "-tower-peer"), md, collect(t.peerLayout(width), typ, false)}
}

func (t Tower) peerLayout(width int) layout.List {
	var l layout.List
	d, g := t.Width, t.Image/t.Patch
	l.Add("v.patch_embd.weight", layout.Low, 0, 1/math.Sqrt(float64(3*t.Patch*t.Patch)), d, 3, t.Patch, t.Patch)
	l.Add("v.patch_embd.bias", layout.Vector, 0, 0.1, d)
	l.Add("v.position_embd.weight", layout.Vector, 0, 0.2, g*g, d)
	l.Norm("v.post_ln", d)
	for i := range t.Depth + 1 {
		b := fmt.Sprintf("v.blk.%d.", i)
		l.Norm(b+"ln1", d)
		for _, n := range []string{"q", "k", "v", "out"} {
			l.Biased(b+"attn_"+n, d, d)
		}
		l.Norm(b+"ln2", d)
		l.Biased(b+"ffn_up", t.MLP, d)
		l.Biased(b+"ffn_down", d, t.MLP)
	}
	l.Biased("mm.0", width, d)
	l.Biased("mm.2", width, width)
	return l
}
