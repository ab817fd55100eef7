package vlm

import (
	"runtime"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/vision"
)

// Plan says how much memory a model needs, in bytes.
type Plan struct {
	Scenes int `json:"scenes"`
	Views  int `json:"views"` // pictures of a frame set

	File    int64 `json:"file"`    // mapped, shared, read as it is used
	Weights int64 `json:"weights"` // private copies of small tensors as float32

	Memory     int64 `json:"memory"`      // of a scene: what is carried from frame set to frame set
	ImageState int64 `json:"image_state"` // of that, what the decoder reads
	Tokens     int64 `json:"tokens"`      // of a scene: newest frame set's image tokens
	Snapshot   int64 `json:"snapshot"`    // of a scene: a saved state
	Stream     int64 `json:"stream"`      // of a scene: memory twice (See builds the next beside it), tokens twice
	Decoder    int64 `json:"decoder"`     // of a text in the making: state and logits
	Scratch    int64 `json:"scratch"`     // of a scene: buffers of towers and blocks

	Total int64 `json:"total"` // resident, with every scene at work
}

// Plan is [Config.Plan] of an open model.
func (m *Model) Plan(scenes, views int) Plan { return m.config.Plan(FileSizes(m.file), scenes, views) }

// Plan estimates what scenes scenes of views views need, for the model of sizes z
// that c describes. It works for models that this version cannot run too.
func (c Config) Plan(z *Sizes, scenes, views int) Plan {
	p := Plan{Scenes: scenes, Views: views, File: z.file}
	for _, t := range z.list {
		low := lowRankName(t.name)
		if low && t.typ == quant.F16 && !positionName(t.name) {
			continue // used where it lies
		}
		if len(t.shape) != 2 || vectorLike(t.shape) || low || bonusName(t.name) {
			p.Weights += 4 * int64(t.len())
		}
	}
	width, state := int64(c.Width), int64(c.Width)*int64(c.HeadSize)
	shifts := int64(2)
	if c.Variant == rwkv.Cross.String() {
		shifts = 3
	}
	decoder := 4 * int64(c.Blocks) * (state + shifts*width)
	picture := 4 * int64(c.pictureTokens()) * width
	p.Scratch = rwkv.WorkBytes(rwkv.Dims{C: c.Width, F: c.FFN}) + c.visionBytes(z, views)
	switch {
	case c.EncoderBlocks > 0:
		p.Memory = 4 * (int64(c.EncoderBlocks)*(state+2*width) - width)
		p.ImageState = 4 * state
		if !c.StateOnly {
			p.Tokens = int64(views) * picture
		}
	case c.Variant == bidirectional:
		p.Tokens = picture
		p.Scratch += picture // of a prompt that cannot be cut
	default:
		p.Memory = decoder
	}
	p.Snapshot = stateHeader + p.Memory + p.Tokens + 4
	p.Stream = 2*p.Memory + 2*p.Tokens
	p.Decoder = decoder + 4*int64(c.Vocab)
	// A stream decodes one text from a copy of the state after the pictures.
	p.Total = p.File + p.Weights + int64(scenes)*(p.Stream+p.Decoder+decoder+p.Scratch)
	return p
}

// visionBytes returns the bytes of the buffers of towers, projector and pooling, with the tokens
// that every view keeps; what resizing needs, which depends on the cameras, comes on top.
func (c Config) visionBytes(l quant.Loader, views int) int64 {
	if len(c.Towers) == 0 {
		return 0
	}
	cells := c.Grid() * c.Grid()
	group := min(max(1, groupCells/cells), views)
	var work vision.Memory
	type resized struct {
		size int
		crop bool
	}
	pictures := map[resized]int{} // bytes of one
	features, largest, class := 0, 0, 0
	for _, t := range c.Towers {
		s, err := vision.SizesOf(t.Kind, l)
		if err != nil {
			continue // of a configuration that was not made for this file
		}
		s.Heads = t.Heads
		work.Add(s, t.ImageSize, group)
		features += t.features(l.Shape)
		bytes := 3 * t.ImageSize * t.ImageSize
		pictures[resized{t.ImageSize, t.crops()}] = bytes
		largest = max(largest, bytes)
		if t.Kind == "clip" {
			class = 1
		}
	}
	values := group * (largest + (cells+class)*features)
	rows := 0
	if !c.StateOnly {
		each := c.DecoderTokens + class
		rows = group * each
		values += rows*(features+c.Width) + views*each*c.Width
	}
	if c.EncoderBlocks > 0 {
		rows = max(rows, group*cells)
		fed := min(views, max(1, rwkv.MaxRows/c.EncoderTokens))
		values += group*cells*c.Width + (views+fed)*c.EncoderTokens*c.Width
	}
	work.AddProjector(l, rows, features, c.Width)
	bytes := 4*int64(values) + work.Bytes(runtime.GOMAXPROCS(0))
	for _, n := range pictures {
		bytes += int64(group * n)
	}
	return bytes
}

// features returns the features of a cell: the width of the tower, unless it has a neck.
func (t Tower) features(shape func(name string) []int) int {
	if neck := shape(vision.NamesOf(t.Kind).Prefix + "neck.0.weight"); len(neck) == 4 {
		return 4 * neck[0]
	}
	return t.Width
}
