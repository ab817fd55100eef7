package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"path"
	"strconv"
	"strings"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

// towerSpec describes a tower in an index. Tower files and end-to-end models
// name the width differently; it follows from shapes anyway.
type towerSpec struct {
	Image     int     `json:"img"`
	Heads     int     `json:"heads"`
	Depth     int     `json:"depth"`
	Act       string  `json:"act"`
	Eps       float32 `json:"ln_eps"`
	TakeBlock *int    `json:"take_block"` // nil: the second to last, CLIP's last
}

// towerEntry is one entry of a vision index: a tower, or vectors for one of
// the operations around it.
type towerEntry struct {
	File   string    `json:"file"`
	Config towerSpec `json:"config"`
	Prefix string    `json:"weight_prefix"`
}

// activations are the index's names for those of model files.
// Where it says nothing, as for SAM, the first is meant.
var activations = map[string]string{"": "gelu_erf", "erf": "gelu_erf", "tanh": "gelu_tanh", "quick": "quick_gelu"}

func (t towerSpec) config(kind string) (vision.Config, error) {
	c := vision.Config{ImageSize: t.Image, Heads: t.Heads, FeatureBlock: t.Depth - 2, Eps: t.Eps}
	if kind == "clip" {
		c.FeatureBlock = t.Depth - 1
	}
	if t.TakeBlock != nil {
		c.FeatureBlock = *t.TakeBlock
	}
	name, ok := activations[t.Act]
	if !ok {
		return c, fmt.Errorf("activation %q: %w", t.Act, ErrIndex)
	}
	var err error
	c.Activation, err = vision.ParseActivation(name)
	return c, err
}

// towerKind finds out from a prefix of tensor names which tower it is.
func towerKind(prefix string) string {
	for _, kind := range []string{"siglip", "dino", "sam"} {
		if strings.HasSuffix(prefix, kind+"_featurizer.") {
			return kind
		}
	}
	return "clip"
}

// tower checks one entry of a vision index.
func (r *run) tower(name string, e towerEntry) error {
	if e.Prefix == "" {
		return r.operation(name, e.File)
	}
	kind := towerKind(e.Prefix)
	g, err := r.golden(name, e.File)
	if err != nil {
		return err
	}
	defer g.close()
	for _, t := range g.f.Tensors() {
		g.used[t.Name] = strings.HasPrefix(t.Name, e.Prefix) // weights
	}
	c, err := e.Config.config(kind)
	if err != nil {
		return err
	}
	before, _, _ := strings.Cut(e.Prefix, "vit.")
	t, err := vision.Open(kind, &prefixed{tensors.New(g.f), before}, c)
	if err != nil {
		return err
	}
	pixels, shape, err := g.floats("in.pixels", -1, 3, t.ImageSize(), t.ImageSize())
	if err != nil {
		return err
	}
	return r.forward(g, t, pixels, shape[0], "trace.", "out")
}

// forward runs a tower and checks what it traces and gives.
func (r *run) forward(g *golden, t vision.Tower, pixels []float32, n int, trace, out string) error {
	w := vision.NewWork(quant.NewScratch(r.pool))
	values := map[string][]float32{}
	w.Trace = func(name string, _ []int, data []float32) {
		values[name] = append(values[name], data...)
	}
	got := make([]float32, n*t.Tokens()*t.Dim())
	t.Forward(w, got, t.Dim(), pixels, n)
	for _, name := range sortedKeys(values) {
		if err := g.check(trace+tracedAs(t, name), values[name]); err != nil {
			return err
		}
	}
	switch t.Name() {
	case "sam": // whose features are channels first in the authors' code
		if err := g.check(out+".tokens", got); err != nil {
			return err
		}
		got = channelsFirst(got, t.Grid()*t.Grid(), t.Dim())
	case "clip": // whose class token is last only in the prompt
		if err := g.check(out+".v60_image_tokens", got); err != nil {
			return err
		}
		got = lastFirst(got, t.Tokens(), t.Dim())
		if last := len(values) - 2; last > 0 {
			if err := g.check(out+".penultimate_hidden", values[fmt.Sprintf("block%d", last-1)]); err != nil {
				return err
			}
		}
	}
	return g.check(out, got)
}

// tracedAs returns the reference's name of a traced value: Hugging Face counts the
// hidden states of CLIP.
func tracedAs(t vision.Tower, name string) string {
	if t.Name() != "clip" {
		return name
	}
	i := -1
	fmt.Sscanf(name, "block%d", &i)
	return fmt.Sprintf("hidden%d", i+1)
}

// lastFirst copies pictures of rows of values, the last row before the others.
func lastFirst(x []float32, rows, values int) []float32 {
	var y []float32
	for size := rows * values; len(x) > 0; x = x[size:] {
		y = append(y, x[size-values:size]...)
		y = append(y, x[:size-values]...)
	}
	return y
}

// channelsFirst copies pictures of cells x channels to channels x cells.
func channelsFirst(x []float32, cells, channels int) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		picture, cell, c := i/(cells*channels), i/channels%cells, i%channels
		y[(picture*channels+c)*cells+cell] = v
	}
	return y
}

// prefixed finds the weights that a file of vectors keeps under a prefix.
type prefixed struct {
	*tensors.Loader
	prefix string
}

func (p *prefixed) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	return p.Loader.Matrix(p.prefix+name, rows, cols)
}

func (p *prefixed) Vector(name string, n int) ([]float32, error) {
	return p.Loader.Vector(p.prefix+name, n)
}

func (p *prefixed) Shape(name string) []int { return p.Loader.Shape(p.prefix + name) }

// operation checks pairs "<n>to<m>.in", "<n>to<m>.out" of a grid of n x n cells
// taken to m x m.
func (r *run) operation(name, file string) error {
	var do func(src []float32, n, m, c int) []float32
	switch name {
	case "adaptive_pool":
		do = func(src []float32, n, m, c int) []float32 {
			dst := make([]float32, m*m*c)
			vision.Pool(dst, src, n, m, c)
			return dst
		}
	case "pos_embed_resample":
		do = vision.Resample
	default:
		r.skip(name, "this version knows no such operation")
		return nil
	}
	g, err := r.golden(name, file)
	if err != nil {
		return err
	}
	defer g.close()
	for _, t := range g.f.Tensors() {
		key, ok := strings.CutSuffix(t.Name, ".in")
		var n, m int
		if k, _ := fmt.Sscanf(key, "%dto%d", &n, &m); !ok || k != 2 || n < 1 || m < 1 || n > 1<<10 || m > 1<<10 {
			continue
		}
		src, shape, err := g.floats(t.Name, 1, n*n, -1)
		if err != nil {
			return err
		}
		if err := g.check(key+".out", do(src, n, m, shape[2])); err != nil {
			return err
		}
	}
	return nil
}

// preprocessEntry is the "preprocess" part of an index. Besides these keys it
// may have any number of pictures at real sizes, given by hashes.
type preprocessEntry struct {
	File   string   `json:"file"`
	Images []string `json:"images"`
}

type hashed struct {
	Image  string `json:"image"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256_of_u8_hwc"`
}

func (r *run) preprocess(raw json.RawMessage) error {
	var e preprocessEntry
	var keys map[string]json.RawMessage
	if err := unmarshal(raw, &e); err != nil {
		return fmt.Errorf("%w: %w", ErrIndex, err)
	}
	if err := unmarshal(raw, &keys); err != nil {
		return fmt.Errorf("%w: %w", ErrIndex, err)
	}
	if e.File != "" {
		if err := r.squares(e); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(keys) {
		var h hashed
		if json.Unmarshal(keys[name], &h) != nil || h.SHA256 == "" {
			continue
		}
		img, err := r.picture(h.Image)
		if err != nil {
			return err
		}
		rgb, err := resize(img, h.Size, false)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		sum := sha256.Sum256(rgb)
		r.row("preprocess", name, b2f(hex.EncodeToString(sum[:]) != h.SHA256), 0)
	}
	return nil
}

// resize makes a tower's input of a picture, cropped as CLIP's.
func resize(img image.Image, size int, crop bool) ([]uint8, error) {
	if size > maxPixels {
		return nil, fmt.Errorf("image of %d pixels a side, more than %d: %w", size, maxPixels, ErrIndex)
	}
	open := preprocess.NewSquare
	if crop {
		open = preprocess.NewCentre
	}
	sq, err := open(size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	rgb := make([]uint8, sq.Bytes())
	return rgb, sq.RGB(rgb, img)
}

// squares checks tensors "<picture>.square<N>.<what>", and of CLIP's
// preprocessing "<picture>.clip<N>.<what>".
func (r *run) squares(e preprocessEntry) error {
	g, err := r.golden("preprocess", e.File)
	if err != nil {
		return err
	}
	defer g.close()
	pictures := map[string]string{}
	for _, file := range e.Images {
		pictures[strings.TrimSuffix(path.Base(file), path.Ext(file))] = file
	}
	for _, t := range g.f.Tensors() {
		parts := strings.Split(t.Name, ".")
		if len(parts) != 3 || pictures[parts[0]] == "" {
			continue
		}
		number, crop := strings.CutPrefix(parts[1], "clip")
		if !crop {
			number, _ = strings.CutPrefix(parts[1], "square")
		}
		size, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		img, err := r.picture(pictures[parts[0]])
		if err != nil {
			return err
		}
		if err := g.square(t.Name, parts[2], size, crop, img); err != nil {
			return err
		}
	}
	return nil
}

// norms are the index's names for mean and standard deviation.
var norms = map[string][2][3]float32{
	"imagenet": {preprocess.ImageNetMean, preprocess.ImageNetStd},
	"half":     {preprocess.HalfMean, preprocess.HalfStd},
	"norm":     {preprocess.CLIPMean, preprocess.CLIPStd},
}

// square resizes a picture and compares, exactly: the arithmetic of PIL and of
// torchvision is fixed to the last bit. what is "u8" or one of norms.
func (g *golden) square(name, what string, size int, crop bool, img image.Image) error {
	n, ok := norms[what]
	if what != "u8" && !ok {
		return nil
	}
	rgb, err := resize(img, size, crop)
	if err != nil {
		return fmt.Errorf("tensor %s: %w", name, err)
	}
	if what != "u8" {
		got, err := normalise(rgb, n)
		if err != nil {
			return err
		}
		return g.checkWithin(name, got, 0)
	}
	want, err := g.f.Lookup(name).Data()
	if err != nil {
		return err
	}
	if len(want) != len(rgb) {
		return fmt.Errorf("tensor %s: %d bytes, want %d: %w", name, len(want), len(rgb), ErrIndex)
	}
	differ := 0
	for i := range rgb {
		if rgb[i] != want[i] {
			differ++
		}
	}
	g.used[name] = true
	g.r.row(g.config, name, float64(differ), 0)
	return nil
}

func normalise(rgb []uint8, by [2][3]float32) ([]float32, error) {
	n, err := preprocess.NewNorm(by[0], by[1])
	if err != nil {
		return nil, err
	}
	pixels := make([]float32, len(rgb))
	n.Planar(pixels, rgb)
	return pixels, nil
}

func (r *run) picture(name string) (image.Image, error) {
	p, err := r.path(name)
	if err != nil {
		return nil, err
	}
	return preprocess.DecodeFile(p, nil)
}

// towers checks the vision part of an end-to-end model.
func (r *run) towers(g *golden, m *model, c lmConfig) error {
	var open []vision.Tower
	for _, kind := range towerOrder {
		spec, ok := c.Hyper.Towers[kind]
		if !ok {
			continue
		}
		if err := r.pixels(g, kind, spec, c.Images); err != nil {
			return err
		}
		vc, err := spec.config(kind)
		if err != nil {
			return err
		}
		t, err := vision.Open(kind, tensors.New(m.file), vc)
		if err != nil {
			return err
		}
		if len(open) > 0 && open[0].Tokens() != t.Tokens() {
			return fmt.Errorf("tower %s gives %d tokens, %s %d: %w", open[0].Name(), open[0].Tokens(), kind, t.Tokens(), ErrIndex)
		}
		open = append(open, t)
		pixels, _, err := g.floats("pre."+kind+".image0", 3, t.ImageSize(), t.ImageSize())
		if err != nil {
			return err
		}
		if err := r.forward(g, t, pixels, 1, "tower."+kind+".", "tower."+kind+".image0"); err != nil {
			return err
		}
	}
	if len(open) == 0 {
		return nil
	}
	return r.features(g, m, open, c.Images)
}

// towerOrder is the order in which the features of several towers stand in a
// row.
var towerOrder = []string{"dino", "siglip", "sam"}

// meanStd are the index's names of what the towers normalise with.
var meanStd = map[string]string{"dino": "imagenet", "siglip": "half", "sam": "imagenet"}

// features runs all towers over all pictures. What comes after them starts from the result,
// so that the tokens that are chosen in the end come from pictures.
func (r *run) features(g *golden, m *model, towers []vision.Tower, images []string) error {
	width := 0
	for _, t := range towers {
		width += t.Dim()
	}
	w := vision.NewWork(quant.NewScratch(r.pool))
	all := make([]float32, len(images)*towers[0].Tokens()*width)
	for i, name := range images {
		img, err := r.picture(name)
		if err != nil {
			return err
		}
		dst := part(all, i, len(images))
		for _, t := range towers {
			rgb, err := resize(img, t.ImageSize(), false)
			if err != nil {
				return err
			}
			pixels, err := normalise(rgb, norms[meanStd[t.Name()]])
			if err != nil {
				return err
			}
			t.Forward(w, dst, width, pixels, 1)
			dst = dst[t.Dim():]
		}
	}
	m.seen = all
	return g.check("vit_features", all)
}

// pixels checks the normalised pixels of the first picture.
func (r *run) pixels(g *golden, kind string, spec towerSpec, images []string) error {
	name := "pre." + kind + ".image0"
	if !g.has(name) || len(images) == 0 {
		return nil
	}
	img, err := r.picture(images[0])
	if err != nil {
		return err
	}
	return g.square(name, meanStd[kind], spec.Image, false, img)
}
