package httpcam

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const jpegEnd = "\xff\xd9"

// maxJPEG bounds one picture: those of 4K cameras at their best have 3 MB.
const maxJPEG = 16 << 20

// Limits of one part.
const (
	maxLine     = 4 << 10  // of a header or a delimiter
	maxHeaders  = 64 << 10 // of all headers of a part, and of what precedes the first part
	maxBoundary = 256
	readAhead   = 64 << 10 // more than a line and a delimiter
)

// errEndOfStream is what a camera that ends its stream properly has done.
var errEndOfStream = errors.New("the camera ended its stream")

// parts reads the parts of a multipart stream as cameras write them: RFC 2046 and its
// usual violations. The delimiter is the one that the stream uses, whatever the header of
// the answer says it were; a length may be missing, or wrong; lines may end with a bare
// newline.
type parts struct {
	r     *bufio.Reader // of readAhead bytes
	delim []byte        // "--" and the boundary; of the answer's header until seen
	limit int           // bytes of a part
	seen  bool          // a part has begun
	begun bool          // the delimiter before the next headers was read
	ended bool          // the last delimiter was
}

// newParts reads r; boundary is what the answer's header says, for streams that begin
// without a delimiter.
func newParts(r io.Reader, boundary string, limit int) *parts {
	p := &parts{r: bufio.NewReaderSize(r, readAhead), limit: limit}
	if b := strings.TrimLeft(boundary, "-"); b != "" && len(b) <= maxBoundary {
		p.delim = []byte("--" + b)
	}
	return p
}

// errTooLong is about one part: those after it may be good.
var errTooLong = errors.New("a picture with more bytes than any has")

// next appends the body of the next part to dst.
func (p *parts) next(dst []byte) ([]byte, error) {
	first := ""
	if !p.seen {
		var err error
		if first, err = p.firstLine(); err != nil {
			return dst, err
		}
		p.seen = true
	} else if !p.begun && !p.ended {
		if _, err := p.toDelimiter(nil, 0); err != nil && err != errTooLong {
			return dst, err
		}
	}
	if p.ended {
		return dst, errEndOfStream
	}
	p.begun = false
	length, err := p.headers(first)
	if err != nil {
		return dst, err
	}
	return p.body(dst, length)
}

// headers reads the lines before a body, of which the first may have been read, and returns
// the body's length, -1 if that is not said.
func (p *parts) headers(l string) (length int, err error) {
	length = -1
	for read := 0; ; l = "" {
		if l == "" {
			if l, err = p.line(); err != nil {
				return 0, err
			}
		}
		if read += len(l) + 1; read > maxHeaders {
			return 0, fmt.Errorf("headers of more than %d KiB before a picture", maxHeaders>>10)
		}
		if l == "" {
			return length, nil
		}
		name, value, _ := strings.Cut(l, ":")
		if !strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			continue
		}
		// A length that cannot be is as good as none: the delimiter tells the end.
		if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && n > 0 && n <= p.limit {
			length = n
		}
	}
}

// firstLine reads up to and with the first delimiter. In a stream that begins with a header
// it returns that.
func (p *parts) firstLine() (header string, err error) {
	for read := 0; read <= maxHeaders; {
		l, err := p.line()
		if err != nil {
			return "", err
		}
		read += len(l) + 1
		l = strings.TrimRight(l, " \t")
		if b := strings.TrimLeft(l, "-"); len(b) < len(l)-1 && b != "" && len(b) <= maxBoundary {
			p.delim = []byte("--" + b)
			return "", nil
		}
		if p.delim != nil && strings.HasPrefix(strings.ToLower(l), "content-") {
			return l, nil
		}
	}
	return "", errors.New("no picture begins in what it sends")
}

// line reads a line without its end.
func (p *parts) line() (string, error) {
	b, err := p.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(b) > maxLine {
		return "", fmt.Errorf("a line of more than %d KiB where a header should be", maxLine>>10)
	}
	if err != nil {
		return "", unexpected(err)
	}
	return string(bytes.TrimRight(b, "\r\n")), nil
}

// body appends the body of a part to dst. A stated length is believed where a picture ends
// there, so that it need not wait for the delimiter of the next one; otherwise the part
// goes on to that.
func (p *parts) body(dst []byte, length int) ([]byte, error) {
	if length < 0 {
		return p.toDelimiter(dst, p.limit)
	}
	n := len(dst)
	if cap(dst)-n < length {
		dst = append(make([]byte, 0, n+length+length/4), dst...)
	}
	dst = dst[:n+length]
	if _, err := io.ReadFull(p.r, dst[n:]); err != nil {
		return dst[:n], unexpected(err)
	}
	if bytes.HasSuffix(bytes.TrimRight(dst[n:], "\r\n\x00"), []byte(jpegEnd)) {
		return dst, nil
	}
	return p.toDelimiter(dst, p.limit)
}

// toDelimiter appends what comes before the next delimiter, and reads that. More than limit
// bytes are read and dropped.
func (p *parts) toDelimiter(dst []byte, limit int) ([]byte, error) {
	start, over := len(dst), false
	for {
		b, err := p.r.Peek(max(p.r.Buffered(), len(p.delim)))
		if err != nil {
			return dst, unexpected(err)
		}
		keep := len(b) - len(p.delim) + 1 // a delimiter may begin after this
		at := bytes.Index(b, p.delim)
		if at >= 0 {
			keep = at
		}
		if over = over || len(dst)-start+keep > limit; !over {
			dst = append(dst, b[:keep]...)
		}
		p.r.Discard(keep)
		if at >= 0 {
			break
		}
	}
	l, err := p.line() // nothing need follow the last one
	p.ended = err != nil || strings.TrimRight(l[len(p.delim):], " \t") == "--"
	p.begun = !p.ended
	if over {
		return dst[:start], errTooLong
	}
	return bytes.TrimRight(dst, "-\r\n"), nil
}

// unexpected is err where the stream may not end.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
