package preprocess

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"sync"
)

// ErrNoDraft is wrapped by the error for a picture that may well be decoded but has no draft.
var ErrNoDraft = errors.New("a picture without a draft")

// draftScratch keeps what reading a draft needs.
var draftScratch = sync.Pool{New: func() any { return new(jpegStream) }}

// Draft decodes a JPEG at an eighth of its size: a pixel of dst is the mean of 8x8 pixels, of
// which those that the encoder made up beyond the right and lower edge are part. Means are
// the DC coefficients, so codes are read and nothing is transformed. Channels have the
// subsampling of the file; a file without colours gets neutral ones. Memory of dst is used again.
//
// The stream is read to its end as [Decode] reads it: what has a draft decodes. Progressive
// pictures, and those that are not YCbCr, have none.
func Draft(data []byte, l *Limits, dst *image.YCbCr) error {
	lim := l.orDefault()
	if int64(len(data)) > lim.MaxBytes {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrLimit, len(data), lim.MaxBytes)
	}
	if !bytes.HasPrefix(data, []byte(jpegMagic)) {
		return fmt.Errorf("%w: it is no jpeg", ErrNoDraft)
	}
	j := draftScratch.Get().(*jpegStream)
	defer draftScratch.Put(j)
	*j = jpegStream{
		data: data, pos: len(jpegMagic), draft: dst,
		comps: j.comps[:0], scans: j.scans[:0], parts: j.parts[:0], spare: j.spare,
	}
	defer j.forget()
	if err := j.header(lim); err != nil {
		return fmt.Errorf("jpeg: %w", err)
	}
	c := j.comps
	if j.progressive || j.adobe || len(c) == 4 || len(c) == 3 && string([]byte{c[0].id, c[1].id, c[2].id}) == "RGB" {
		return fmt.Errorf("jpeg: %w: it is progressive, or its colours are not YCbCr", ErrNoDraft)
	}
	j.begin()
	if err := j.entropy(); err != nil {
		return fmt.Errorf("jpeg: %w", err)
	}
	return nil
}

// ratios are those of subsampling, by how many luma blocks share one of chroma across and down.
var ratios = [5][3]image.YCbCrSubsampleRatio{
	1: {1: image.YCbCrSubsampleRatio444, 2: image.YCbCrSubsampleRatio440},
	2: {1: image.YCbCrSubsampleRatio422, 2: image.YCbCrSubsampleRatio420},
	4: {1: image.YCbCrSubsampleRatio411, 2: image.YCbCrSubsampleRatio410},
}

// forget lets go of what belongs to the caller.
func (j *jpegStream) forget() {
	j.data, j.draft = nil, nil
	clear(j.scans)
	clear(j.spare)
}

// begin makes the draft as large as the blocks of whole units need, all of it neutral.
func (j *jpegStream) begin() {
	y := j.comps[0]
	chroma := jpegComponent{h: 1, v: 1}
	ratio := image.YCbCrSubsampleRatio420
	if len(j.comps) == 3 {
		chroma = j.comps[1]
		ratio = ratios[y.h/chroma.h][y.v/chroma.v]
	}
	across, down := j.units()
	d := j.draft
	d.Rect, d.SubsampleRatio = image.Rect(0, 0, (j.w+7)/8, (j.h+7)/8), ratio
	d.YStride, d.CStride = across*y.h, across*chroma.h
	d.Y = neutral(d.Y, d.YStride*down*y.v)
	d.Cb = neutral(d.Cb, d.CStride*down*chroma.v)
	d.Cr = neutral(d.Cr, d.CStride*down*chroma.v)
}

func neutral(b []uint8, n int) []uint8 {
	if cap(b) < n {
		b = make([]uint8, n)
	}
	b = b[:n]
	for i := range b {
		b[i] = 128
	}
	return b
}

// plot draws the mean of the block that was read last.
func (j *jpegStream) plot(p *jpegPart, bx, by int) {
	plane, stride := j.draft.Y, j.draft.YStride
	switch p.comp {
	case 1:
		plane, stride = j.draft.Cb, j.draft.CStride
	case 2:
		plane, stride = j.draft.Cr, j.draft.CStride
	}
	// A DC coefficient is eight times the mean of its block, less 128.
	plane[by*stride+bx] = uint8(min(max((int64(p.level)*int64(p.step)+4)>>3+128, 0), 255))
}
