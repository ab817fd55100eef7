package plugin

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Frame is a picture to look at.
type Frame struct {
	View          int    // place in Options.Views
	Width, Height int    // of Pixels
	Pixels        []byte // RGB, three bytes a pixel, rows without gaps
	Full          bool   // the picture itself, not a smaller one made of it
	CameraWidth   int    // of what the camera delivered
	CameraHeight  int
	Time          time.Time     // of capture
	Clock         time.Duration // of capture, as Options.Clock has it
	Number        uint64        // counts pictures of the view
}

// Preview is the largest size of the pictures for plugins without the permission pixels.
const (
	PreviewWidth  = 80
	PreviewHeight = 60
)

// Interpreted is the largest size of the pictures for plugins with the permission pixels that are interpreted, where
// Options do not say. To go through its bytes once takes 8 ms on an AMD EPYC, and twice on what is a fifth as fast still less than the
// default limit of a call, which one of 640x480 exceeds on either.
const (
	InterpretedWidth  = 160
	InterpretedHeight = 120
)

// Rect is a part of a picture, in fractions of its width and height.
type Rect struct{ X, Y, W, H float32 }

// Verdict is what a plugin says of a frame. The zero verdict keeps it as it is.
type Verdict struct {
	Skip      bool // as if the camera had delivered none
	HasRegion bool
	Region    Rect   // what the model sees of the picture
	Masks     []Rect // to be painted black, of the whole picture; until the next call of Frame
	Blocked   bool   // the plugin has not answered, and what it has not answered about is for nobody
}

const (
	frameHeader = 64 // bytes
	maxMasks    = 16
	rectBytes   = 16
	verdictHead = 28 // bytes of an answer before its masks
	maxVerdict  = verdictHead + maxMasks*rectBytes
)

// Frame asks the plugin about a frame. What goes wrong in the plugin keeps it, or blocks it, as
// Options.OnFailure says.
func (p *Plugin) Frame(ctx context.Context, f *Frame) Verdict {
	if !p.frames {
		return Verdict{}
	}
	p.calls.Lock()
	defer p.calls.Unlock()
	in := p.in
	unanswered := func() Verdict { return Verdict{Blocked: p.blocks.Load()} }
	if in == nil {
		return unanswered()
	}
	if f.View < 0 || f.View >= len(p.opts.Views) || f.Width <= 0 || f.Height <= 0 || len(f.Pixels) != 3*f.Width*f.Height {
		p.once("frame", fmt.Sprintf("edged has a frame of view %d of %d with %d bytes for %d x %d pixels: the plugin does not see it",
			f.View, len(p.opts.Views), len(f.Pixels), f.Width, f.Height))
		return unanswered()
	}
	began := time.Now()
	in.begin(ctx, p.opts.CallLimit)
	f.put(&p.header)
	answer, err := in.ask(exportFrame, in.frame, p.header[:], f.Pixels, maxVerdict)
	var v Verdict
	if err == nil {
		if v, err = parseVerdict(answer, &p.masks); err != nil {
			err = fmt.Errorf("%s: %w", exportFrame, err)
		}
	}
	p.done(began, err)
	if err != nil {
		return unanswered()
	}
	if len(v.Masks) > 0 && p.opts.OnFailure == "" && !p.blocks.Swap(true) {
		p.once("mask", "it masks without the permission mask: from now on no picture is seen without its answer; with it that is so from the start, and on_failure: pass rules it out")
	}
	return v
}

// put writes the header of a frame, docs/plugins.md.
func (f *Frame) put(b *[frameHeader]byte) {
	le := binary.LittleEndian
	var flags uint32
	if f.Full {
		flags = 1
	}
	for i, v := range [...]uint32{frameHeader, uint32(f.View), uint32(f.Width), uint32(f.Height), 1, flags, uint32(f.CameraWidth), uint32(f.CameraHeight)} {
		le.PutUint32(b[4*i:], v)
	}
	le.PutUint64(b[32:], uint64(f.Time.UnixMilli()))
	le.PutUint64(b[40:], uint64(f.Clock.Milliseconds()))
	le.PutUint64(b[48:], f.Number)
	le.PutUint32(b[56:], frameHeader)
	le.PutUint32(b[60:], 0)
}

// parseVerdict reads an answer to a frame; none keeps it. The masks go to masks.
func parseVerdict(b []byte, masks *[maxMasks]Rect) (v Verdict, err error) {
	if len(b) == 0 {
		return v, nil
	}
	if len(b) < verdictHead {
		return v, fmt.Errorf("an answer of %d bytes, less than %d", len(b), verdictHead)
	}
	le := binary.LittleEndian
	verdict, region, n := le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[24:])
	if verdict > 1 || region > 1 {
		return v, fmt.Errorf("verdict %d, region %d: neither 0 nor 1", verdict, region)
	}
	if n > maxMasks || len(b) != verdictHead+int(n)*rectBytes {
		return v, fmt.Errorf("an answer of %d bytes with %d masks; there are up to %d of %d bytes, after %d", len(b), n, maxMasks, rectBytes, verdictHead)
	}
	if region == 1 {
		if v.Region, err = parseRect(b[8:]); err != nil {
			return Verdict{}, fmt.Errorf("its region: %w", err)
		}
		v.HasRegion = true
	}
	for i := range int(n) {
		if masks[i], err = parseRect(b[verdictHead+i*rectBytes:]); err != nil {
			return Verdict{}, fmt.Errorf("mask %d: %w", i, err)
		}
	}
	v.Skip, v.Masks = verdict == 1, masks[:n]
	return v, nil
}

// parseRect reads a part of a picture. What rounding puts beyond its edges is cut off.
func parseRect(b []byte) (Rect, error) {
	var v [4]float32
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	const slack = 1e-5
	r := Rect{v[0], v[1], v[2], v[3]}
	// Written so that NaN is refused.
	if !(r.X >= 0 && r.Y >= 0 && r.W > 0 && r.H > 0 && r.X+r.W <= 1+slack && r.Y+r.H <= 1+slack) {
		return Rect{}, fmt.Errorf("%v is no part of the picture; it has fractions x, y, w, h from 0 to 1", v)
	}
	r.W, r.H = min(r.W, 1-r.X), min(r.H, 1-r.Y)
	if !(r.W > 0 && r.H > 0) {
		return Rect{}, fmt.Errorf("%v is empty", v)
	}
	return r, nil
}
