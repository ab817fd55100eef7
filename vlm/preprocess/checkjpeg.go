package preprocess

import (
	"encoding/binary"
	"fmt"
	"image"
	"io"
)

const jpegMagic = "\xff\xd8"

// Markers of ITU-T T.81, table B.1.
const (
	mSOF0, mSOF2      = 0xc0, 0xc2
	mDHT              = 0xc4
	mRST0, mRST7      = 0xd0, 0xd7
	mEOI, mSOS        = 0xd9, 0xda
	mDQT, mDRI        = 0xdb, 0xdd
	mAPP0, mAPP14     = 0xe0, 0xee
	mAPP15, mComments = 0xef, 0xfe
)

// maxScans bounds the scans of a progressive picture. Encoders use about ten;
// a picture with hundreds is made to keep decoders busy.
const maxScans = 100

// jpegStream is what the segments of a JPEG stream say about its scans.
type jpegStream struct {
	data []byte
	pos  int

	w, h                  int
	comps                 []jpegComponent
	baseline, progressive bool
	adobe                 bool
	interval              int       // MCUs between restart markers, 0 for none
	tables                [2][4]int // [DC, AC]: where the table in force begins in data
	steps                 [4]int32  // of DC coefficients, by quantisation table
	scans                 []jpegScan
	spare                 []huffman    // for the scans being read
	alone                 [1]*jpegScan // for a scan that is read alone
	parts                 []jpegPart   // of all scans

	draft *image.YCbCr // gets the mean of each block; may be nil
}

// jpegComponent is one colour channel: blocks of 8x8 samples, h x v in an MCU.
type jpegComponent struct {
	id    byte
	h, v  int
	table byte // for quantisation
}

// checkJPEG reads a JPEG stream without keeping coefficients or pixels. It
// refuses what image/jpeg refuses, and besides Huffman tables with more codes
// than fit and runs that reach beyond the end of a scan.
func checkJPEG(data []byte, l Limits) error {
	j := &jpegStream{data: data, pos: len(jpegMagic)}
	if err := j.header(l); err != nil {
		return err
	}
	return j.entropy()
}

// header reads all but what is in the scans.
func (j *jpegStream) header(l Limits) error {
	if err := j.segments(l); err != nil {
		return err
	}
	if len(j.scans) == 0 {
		return j.bad("no scan")
	}
	if len(j.comps) == 4 && !j.adobe {
		return j.bad("four channels of unknown meaning")
	}
	return nil
}

func (j *jpegStream) bad(format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: "+format, append([]any{ErrFormat, j.pos}, args...)...)
}

func (j *jpegStream) short() error {
	return fmt.Errorf("%w: at byte %d: %w", ErrFormat, len(j.data), io.ErrUnexpectedEOF)
}

// marker goes to the next marker, past fill bytes, restart markers, and the
// entropy-coded data of a scan, in which 0xff is always followed by 0.
func (j *jpegStream) marker() (byte, error) {
	filled := false
	for p := j.pos; p+1 < len(j.data); p++ {
		if j.data[p] != 0xff {
			continue
		}
		switch m := j.data[p+1]; {
		case m == 0xff:
			filled = true
			continue
		case m == 0 && filled:
			j.pos = p
			return 0, j.bad("fill bytes without a marker")
		case m == 0 || mRST0 <= m && m <= mRST7:
			p++
			filled = false
		default:
			j.pos = p + 2
			return m, nil
		}
	}
	return 0, j.short()
}

// segments reads everything but the contents of the scans.
func (j *jpegStream) segments(l Limits) error {
	for {
		m, err := j.marker()
		if err != nil {
			return err
		}
		if m == mEOI {
			return nil
		}
		if len(j.data)-j.pos < 2 {
			return j.short()
		}
		n := int(binary.BigEndian.Uint16(j.data[j.pos:]))
		if n < 2 {
			return j.bad("segment of %d bytes", n)
		}
		if n > len(j.data)-j.pos {
			return j.short()
		}
		body := j.data[j.pos+2 : j.pos+n]
		switch {
		case mSOF0 <= m && m <= mSOF2:
			j.baseline, j.progressive = m == mSOF0, m == mSOF2
			err = j.frame(body, l)
		case m == mDHT:
			err = j.huffmanTables(body)
		case m == mDQT:
			err = j.quantTables(body)
		case m == mDRI:
			if len(body) != 2 {
				return j.bad("restart interval of %d bytes", len(body))
			}
			j.interval = int(binary.BigEndian.Uint16(body))
		case m == mSOS:
			err = j.scan(body, j.pos+n)
		case m == mAPP14:
			j.adobe = j.adobe || len(body) >= 12 && string(body[:5]) == "Adobe"
		case mAPP0 <= m && m <= mAPP15, m == mComments:
		default:
			err = j.bad("unsupported marker %#x", m)
		}
		if err != nil {
			return err
		}
		j.pos += n
	}
}

// frame reads a frame header, T.81 B.2.2.
func (j *jpegStream) frame(b []byte, l Limits) error {
	if len(j.comps) > 0 {
		return j.bad("second frame header")
	}
	if len(b) < 6 || len(b) != 6+3*int(b[5]) || b[5] != 1 && b[5] != 3 && b[5] != 4 {
		return j.bad("frame header of %d bytes", len(b))
	}
	if b[0] != 8 {
		return j.bad("%d bits per sample", b[0])
	}
	j.h, j.w = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	if err := l.size(j.w, j.h); err != nil {
		return err
	}
	for c := b[6:]; len(c) > 0; c = c[3:] {
		k := jpegComponent{c[0], int(c[1] >> 4), int(c[1] & 15), c[2]}
		for _, o := range j.comps {
			if o.id == k.id {
				return j.bad("channel %d twice", k.id)
			}
		}
		if c[2] > 3 {
			return j.bad("channel %d uses quantisation table %d", k.id, c[2])
		}
		j.comps = append(j.comps, k)
	}
	if !subsampling(j.comps) {
		return j.bad("channels subsampled as %v", j.comps)
	}
	if len(j.comps) == 1 {
		j.comps[0].h, j.comps[0].v = 1, 1 // A.2.2: one channel is never interleaved
	}
	return nil
}

// subsampling reports whether image/jpeg takes these ratios.
func subsampling(c []jpegComponent) bool {
	for _, k := range c {
		if k.h < 1 || k.h > 4 || k.h == 3 || k.v < 1 || k.v > 4 || k.v == 3 {
			return false
		}
	}
	switch len(c) {
	case 3:
		return c[0].v != 4 && c[0].h%c[1].h == 0 && c[0].v%c[1].v == 0 && c[1].h == c[2].h && c[1].v == c[2].v
	case 4:
		return c[0].h == c[0].v && c[0].h <= 2 && c[1].h*c[1].v*c[2].h*c[2].v == 1 && c[3].h == c[0].h && c[3].v == c[0].v
	}
	return true
}

// quantTables checks quantisation tables, B.2.4.1, and notes the first step of each.
func (j *jpegStream) quantTables(b []byte) error {
	for len(b) > 0 {
		n := 65
		if b[0]>>4 == 1 {
			n = 129
		}
		if b[0]>>4 > 1 || b[0]&15 > 3 || len(b) < n {
			return j.bad("quantisation table %#x, %d bytes left", b[0], len(b))
		}
		if j.steps[b[0]&15] = int32(b[1]); n == 129 {
			j.steps[b[0]&15] = int32(binary.BigEndian.Uint16(b[1:]))
		}
		b = b[n:]
	}
	return nil
}

// huffmanTables notes where the tables are, B.2.4.2; what they say is read when
// a scan uses them.
func (j *jpegStream) huffmanTables(b []byte) error {
	end := j.pos + 2 + len(b)
	for len(b) > 0 {
		if len(b) < 17 {
			return j.bad("Huffman table of %d bytes", len(b))
		}
		class, id := b[0]>>4, b[0]&15
		if class > 1 || id > 3 || j.baseline && id > 1 {
			return j.bad("Huffman table %#x", b[0])
		}
		codes, room := 0, 1
		for _, n := range b[1:17] {
			codes += int(n)
			if room = 2*room - int(n); room < 0 {
				return j.bad("Huffman table %#x has more codes than fit", b[0])
			}
		}
		if codes == 0 || codes > 256 || len(b) < 17+codes {
			return j.bad("Huffman table %#x of %d codes", b[0], codes)
		}
		j.tables[class][id] = end - len(b) + 1
		b = b[17+codes:]
	}
	return nil
}

// scan reads a scan header, B.2.3; its data begins at start.
func (j *jpegStream) scan(b []byte, start int) error {
	if len(b) < 6 || len(b) != 4+2*int(b[0]) || int(b[0]) > len(j.comps) {
		return j.bad("scan header of %d bytes", len(b))
	}
	if len(j.scans) == maxScans {
		return j.bad("more than %d scans", maxScans)
	}
	s := jpegScan{data: j.data, pos: start, interval: j.interval, last: 63}
	blocks, first := 0, len(j.parts)
	for c := b[1 : len(b)-3]; len(c) > 0; c = c[2:] {
		at := -1
		for i, k := range j.comps {
			if k.id == c[0] {
				at = i
			}
		}
		for _, o := range j.parts[first:] {
			if o.comp == at {
				at = -1
			}
		}
		dc, ac := c[1]>>4, c[1]&15
		if at < 0 || dc > 3 || ac > 3 || j.baseline && (dc > 1 || ac > 1) {
			return j.bad("scan of channel %d with tables %d and %d", c[0], dc, ac)
		}
		j.parts = append(j.parts, jpegPart{comp: at, dcAt: j.tables[0][dc], acAt: j.tables[1][ac], step: j.steps[j.comps[at].table]})
		blocks += j.comps[at].h * j.comps[at].v
	}
	s.parts = j.parts[first:len(j.parts):len(j.parts)]
	if len(j.comps) > 1 && blocks > 10 {
		return j.bad("scan of %d blocks in a unit", blocks)
	}
	if j.progressive {
		t := b[len(b)-3:]
		s.first, s.last, s.refining = int(t[0]), int(t[1]), t[2]>>4 != 0
		if s.first > s.last || s.last > 63 || s.first == 0 && s.last != 0 || s.first != 0 && len(s.parts) != 1 ||
			s.refining && t[2]>>4 != t[2]&15+1 {
			return j.bad("scan of coefficients %d to %d, bits %#x, %d channels", t[0], t[1], t[2], len(s.parts))
		}
	}
	j.scans = append(j.scans, s)
	return nil
}
