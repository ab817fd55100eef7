package preprocess

import (
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// checkPNG reads a PNG stream without keeping its pixels: the checksum of every
// chunk, the inflated length against the header, the filter of every row and the
// checksum of the compressed stream.
func checkPNG(data []byte, l Limits) error {
	p := &pngStream{data: data, pos: len(pngMagic)}
	kind, body, err := p.chunk()
	if err != nil {
		return err
	}
	if kind != "IHDR" || len(body) != 13 {
		return p.bad("%q of %d bytes where the header belongs", kind, len(body))
	}
	w, h := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
	if w > 1<<30 || h > 1<<30 {
		return fmt.Errorf("%w: %dx%d pixels", ErrLimit, w, h)
	}
	if err := l.size(int(w), int(h)); err != nil {
		return err
	}
	rows, ok := pngLayout(int(w), int(h), body[8], body[9], body[12])
	if !ok || body[10] != 0 || body[11] != 0 {
		return p.bad("depth %d, colour type %d, methods %d", body[8], body[9], body[10:])
	}
	depth, colour := body[8], body[9]
	palette, transparent, seen := false, false, false
	for {
		kind, body, err = p.chunk()
		if err != nil {
			return err
		}
		switch kind {
		case "IDAT":
			if !seen { // image/png ignores what follows the end of the stream
				if colour == 3 && !palette {
					return p.bad("no palette")
				}
				seen, p.idat = true, body
				if err := p.pixels(rows); err != nil {
					return err
				}
			}
		case "IHDR":
			return p.bad("second header")
		case "PLTE":
			if seen || palette || transparent || colour&2 == 0 || len(body) == 0 || len(body)%3 != 0 || len(body)/3 > 1<<min(depth, 8) {
				return p.bad("palette of %d bytes", len(body))
			}
			palette = true
		case "tRNS":
			if seen || transparent || !transparency(colour, palette, len(body)) {
				return p.bad("transparency of %d bytes", len(body))
			}
			transparent = true
		case "IEND":
			if !seen || len(body) != 0 {
				return p.bad("end after %d bytes of it, pixels seen: %t", len(body), seen)
			}
			return nil
		}
	}
}

// transparency reports whether a tRNS chunk of n bytes may stand here.
func transparency(colour byte, palette bool, n int) bool {
	switch colour {
	case 0:
		return n == 2
	case 2:
		return n == 6
	case 3:
		return palette && n <= 256
	}
	return false
}

// pngRows is one pass over the picture: n rows of a filter byte and bytes.
type pngRows struct{ n, bytes int }

// pngLayout returns the passes of a picture, seven when it is interlaced.
func pngLayout(w, h int, depth, colour, interlace byte) ([]pngRows, bool) {
	var channels int
	var depths uint32 // bit d is set for an allowed depth d
	switch colour {
	case 0:
		channels, depths = 1, 1<<1|1<<2|1<<4|1<<8|1<<16
	case 2:
		channels, depths = 3, 1<<8|1<<16
	case 3:
		channels, depths = 1, 1<<1|1<<2|1<<4|1<<8
	case 4:
		channels, depths = 2, 1<<8|1<<16
	case 6:
		channels, depths = 4, 1<<8|1<<16
	}
	if depth > 16 || depths>>depth&1 == 0 || interlace > 1 {
		return nil, false
	}
	bytes := func(w int) int { return (w*channels*int(depth) + 7) / 8 }
	if interlace == 0 {
		return []pngRows{{h, bytes(w)}}, true
	}
	// Adam7: first column and row, and step, of each pass.
	var passes []pngRows
	for _, a := range [...][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		pw, ph := (w-a[0]+a[2]-1)/a[2], (h-a[1]+a[3]-1)/a[3]
		if pw > 0 && ph > 0 {
			passes = append(passes, pngRows{ph, bytes(pw)})
		}
	}
	return passes, true
}

// pngStream walks the chunks of data; as an io.Reader it is the contents of
// consecutive IDAT chunks.
type pngStream struct {
	data []byte
	pos  int    // of the next chunk
	idat []byte // what is left of the current IDAT chunk
}

func (p *pngStream) bad(format string, args ...any) error {
	return fmt.Errorf("%w: before byte %d: "+format, append([]any{ErrFormat, p.pos}, args...)...)
}

// chunk returns the type and contents of the next chunk, checksum verified.
func (p *pngStream) chunk() (kind string, body []byte, err error) {
	rest := p.data[p.pos:]
	if len(rest) < 12 {
		return "", nil, fmt.Errorf("%w: chunk at byte %d: %w", ErrFormat, p.pos, io.ErrUnexpectedEOF)
	}
	n := binary.BigEndian.Uint32(rest)
	if int64(n) > int64(len(rest)-12) {
		return "", nil, fmt.Errorf("%w: chunk of %d bytes at byte %d: %w", ErrFormat, n, p.pos, io.ErrUnexpectedEOF)
	}
	end := 8 + int(n)
	if crc32.ChecksumIEEE(rest[4:end]) != binary.BigEndian.Uint32(rest[end:]) {
		return "", nil, fmt.Errorf("%w: chunk %q at byte %d: wrong checksum", ErrFormat, rest[4:8], p.pos)
	}
	p.pos += end + 4
	return string(rest[4:8]), rest[8:end], nil
}

// Read implements io.Reader as image/png does, so that both see the same end.
func (p *pngStream) Read(b []byte) (int, error) {
	for len(p.idat) == 0 {
		kind, body, err := p.chunk()
		if err != nil {
			return 0, err
		}
		if kind != "IDAT" {
			return 0, p.bad("%q where pixels should go on", kind)
		}
		p.idat = body
	}
	n := copy(b, p.idat)
	p.idat = p.idat[n:]
	return n, nil
}

// pixels inflates the IDAT chunks and checks that they hold exactly rows.
func (p *pngStream) pixels(passes []pngRows) error {
	bad := func(pass, row int, err error) error {
		if errors.Is(err, ErrFormat) {
			return err // from Read
		}
		return p.bad("pass %d, row %d: %w", pass, row, err)
	}
	z, err := zlib.NewReader(p)
	if err != nil {
		return bad(0, 0, err)
	}
	var buf [8192]byte
	for i, pass := range passes {
		for y := range pass.n {
			if _, err := io.ReadFull(z, buf[:1]); err != nil {
				return bad(i, y, err)
			}
			if buf[0] > 4 {
				return p.bad("pass %d, row %d: filter %d", i, y, buf[0])
			}
			for left := pass.bytes; left > 0; {
				n, err := io.ReadFull(z, buf[:min(left, len(buf))])
				if err != nil {
					return bad(i, y, err)
				}
				left -= n
			}
		}
	}
	// The end of the stream is where its checksum is verified.
	switch _, err := io.ReadFull(z, buf[:1]); err {
	case io.EOF:
	case nil:
		return p.bad("more pixels than rows")
	default:
		return bad(len(passes), 0, err)
	}
	if len(p.idat) != 0 {
		return p.bad("%d bytes after the compressed pixels", len(p.idat))
	}
	return nil
}
