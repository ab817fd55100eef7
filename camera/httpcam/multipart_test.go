package httpcam

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// numbers reads a stream to its end and returns the numbers of its pictures, -1 for each
// part that is none.
func numbers(t *testing.T, r io.Reader, boundary string) ([]int, error) {
	t.Helper()
	parts, pics := newParts(r, boundary, 1<<20), camera.NewPictures(&camera.Options{Decode: decode})
	var got []int
	for {
		p := pics.Take()
		var err error
		p.Data, err = parts.next(p.Data)
		var f camera.Frame
		if err == nil {
			if f, err = p.JPEG(time.Now(), 0); err == nil {
				if err = f.Decode(); err != nil {
					t.Fatal(err)
				}
				got = append(got, number(f.Image))
				f.Release()
				continue
			}
		} else {
			p.Release()
		}
		if !errors.Is(err, camera.ErrJPEG) && err != errTooLong {
			return got, err
		}
		got = append(got, -1)
	}
}

// TestStreamsInTheWild: the ways in which cameras write streams, three pictures each.
func TestStreamsInTheWild(t *testing.T) {
	a, b, c := photo(1), photo(2), photo(3)
	three := func(format string) string {
		var s strings.Builder
		for _, p := range [][]byte{a, b, c} {
			s.WriteString(strings.NewReplacer("LEN", fmt.Sprint(len(p)), "JPEG", string(p)).Replace(format))
		}
		return s.String()
	}
	for name, tt := range map[string]struct {
		boundary, stream string
		want             []int
	}{
		"as in the book":        {"foo", three("--foo\r\nContent-Type: image/jpeg\r\nContent-Length: LEN\r\n\r\nJPEG\r\n") + "--foo--", []int{1, 2, 3}},
		"preamble":              {"foo", "hello\r\n\r\n" + three("--foo\r\nContent-Length: LEN\r\n\r\nJPEG\r\n"), []int{1, 2, 3}},
		"no length":             {"foo", three("--foo\r\nContent-Type: image/jpeg\r\n\r\nJPEG\r\n") + "--foo--\r\n", []int{1, 2, 3}},
		"no length, no newline": {"foo", three("--foo\r\n\r\nJPEG") + "--foo--", []int{1, 2, 3}},
		"bare newlines":         {"foo", three("--foo\ncontent-length:LEN\n\nJPEG\n") + "--foo--\n", []int{1, 2, 3}},
		"dashes in both":        {"--foo", three("--foo\r\nContent-Length: LEN\r\n\r\nJPEG\r\n"), []int{1, 2, 3}},
		"more dashes in stream": {"--foo", three("----foo\r\n\r\nJPEG\r\n") + "----foo--\r\n", []int{1, 2, 3}},
		"another boundary":      {"foo", three("--bar\r\n\r\nJPEG\r\n") + "--bar--\r\n", []int{1, 2, 3}},
		"boundary not said":     {"", three("--bar\r\n\r\nJPEG\r\n") + "--bar--\r\n", []int{1, 2, 3}},
		"headers first":         {"foo", "Content-Type: image/jpeg\r\n\r\n" + three("JPEG\r\n--foo\r\nContent-Type: image/jpeg\r\n\r\n"), []int{1, 2, 3}},
		"lengths too short":     {"foo", three("--foo\r\nContent-Length: 90\r\n\r\nJPEG\r\n") + "--foo--", []int{1, 2, 3}},
		"lengths too long":      {"foo", strings.Replace(three("--foo\r\nContent-Length: LEN\r\n\r\nJPEG\r\n"), fmt.Sprint(len(a)), fmt.Sprint(len(a)+20), 1), []int{1, 3}},
		"lengths of nonsense":   {"foo", three("--foo\r\nContent-Length: -LEN7777777777777\r\n\r\nJPEG\r\n") + "--foo--", []int{1, 2, 3}},
		"huge lengths":          {"foo", three("--foo\r\nContent-Length: 99999999999\r\n\r\nJPEG\r\n") + "--foo--", []int{1, 2, 3}},
		"padding in the length": {"foo", three("--foo\r\n\r\nJPEG\x00\x00\x00\x00\r\n") + "--foo--", []int{1, 2, 3}},
		"two empty lines":       {"foo", three("\r\n\r\n--foo\r\nContent-Length: LEN\r\n\r\nJPEG\r\n\r\n"), []int{1, 2, 3}},
		"text between":          {"foo", three("--foo\r\n\r\nJPEG\r\n--foo\r\nContent-Type: text/plain\r\n\r\nhello\r\n") + "--foo--", []int{1, -1, 2, -1, 3, -1}},
		"half a picture": {"foo", "--foo\r\nContent-Length: 50\r\n\r\n" + string(a[:50]) + "\r\n" + three("--foo\r\nContent-Length: LEN\r\n\r\nJPEG\r\n"),
			[]int{-1, 1, 2, 3}},
		"a part too large": {"foo", "--foo\r\n\r\n" + strings.Repeat("x", 2<<20) + "\r\n" + three("--foo\r\nContent-Length: LEN\r\n\r\nJPEG\r\n"),
			[]int{-1, 1, 2, 3}},
	} {
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(tt.stream), "by bytes": iotest.OneByteReader(strings.NewReader(tt.stream))} {
			if got, err := numbers(t, r, tt.boundary); !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s: %v (%v), want %v", name, how, got, err, tt.want)
			}
		}
	}
}

func TestStreamsRefused(t *testing.T) {
	for want, stream := range map[string]string{
		"no picture begins":    strings.Repeat("hello\n", 20000),
		"a line of more than":  "--foo\r\nX: " + strings.Repeat("y", 10<<20),
		"headers of more than": "--foo\r\n" + strings.Repeat("X: y\r\n", 100000),
		"unexpected EOF":       "--foo\r\n\r\n" + string(photo(1)),
		"ended its stream":     "--foo\r\n\r\n" + string(photo(1)) + "\r\n--foo--",
	} {
		if _, err := numbers(t, strings.NewReader(stream), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestPictureDoesNotWaitForTheNext: with its length said, a picture is there when its last
// byte is.
func TestPictureDoesNotWaitForTheNext(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	p := newParts(r, "frame", 1<<20)
	for n := range 3 {
		go io.WriteString(w, strings.TrimSuffix(part(photo(n)), "\r\n"))
		if data, err := p.next(nil); err != nil || !bytes.Equal(data, photo(n)) {
			t.Fatalf("picture %d: %d bytes, %v", n, len(data), err)
		}
	}
}

// TestMutatedStreams: 10,000 damaged streams, none of which yields more than it holds.
func TestMutatedStreams(t *testing.T) {
	stream := part(photo(1)) + strings.Replace(part(photo(2)), "Content-Length", "X", 1) + part(photo(3)) + "--frame--\r\n"
	r := rand.New(rand.NewPCG(7, 7))
	pictures := 0
	for range 10_000 {
		b := []byte(stream)
		for range 1 + r.IntN(4) {
			at := r.IntN(len(b))
			n := min(r.IntN(100), len(b)-at)
			switch r.IntN(4) {
			case 0:
				b[at] = byte(r.Uint32())
			case 1:
				b = append(b[:at], b[at+n:]...)
			case 2:
				b = append(b[:at+n:at+n], b[at:]...)
			case 3:
				b = b[:at]
			}
			if len(b) == 0 {
				break
			}
		}
		pictures += checkStream(t, b)
	}
	if pictures < 10_000 || pictures > 30_000 {
		t.Errorf("%d pictures in 10,000 streams of three", pictures)
	}
}

// checkStream reads a stream to its end and returns how many pictures it held.
func checkStream(t *testing.T, b []byte) int {
	t.Helper()
	parts, pics := newParts(bytes.NewReader(b), "frame", 1<<16), camera.NewPictures(&camera.Options{Decode: decode})
	found := 0
	for n := 0; ; n++ {
		if n > len(b) {
			t.Fatalf("more parts than bytes: %q", b)
		}
		p := pics.Take()
		var err error
		p.Data, err = parts.next(p.Data)
		if len(p.Data) > len(b) || cap(p.Data) > 4*(1<<16+len(b)) {
			t.Fatalf("a picture of %d bytes (%d) out of %d", len(p.Data), cap(p.Data), len(b))
		}
		if err == nil {
			if f, err := p.JPEG(time.Time{}, 0); err == nil {
				found++
				f.Release()
			}
			continue
		}
		p.Release()
		if err != errTooLong {
			return found
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte(part(photo(1)) + part(photo(2))))
	f.Add([]byte("--frame\n\n" + string(photo(1)) + "--frame--"))
	f.Add([]byte("Content-Length: 9\r\n\r\n--frame\r\n\r\n\r\n--frame"))
	f.Fuzz(func(t *testing.T, b []byte) { checkStream(t, b) })
}

// endless is a stream that never ends.
type endless struct {
	part []byte
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.part[e.at:])
	e.at = (e.at + n) % len(e.part)
	return n, nil
}

// TestMemoryOfAStream: what 100,000 pictures need is what the first needed.
func TestMemoryOfAStream(t *testing.T) {
	parts, pics := newParts(&endless{part: []byte(part(photo(1)))}, "frame", maxJPEG), camera.NewPictures(&camera.Options{Decode: decode})
	one := func() {
		p := pics.Take()
		var err error
		if p.Data, err = parts.next(p.Data); err != nil {
			t.Fatal(err)
		}
		f, err := p.JPEG(time.Time{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
	one()
	first := pics.Take()
	buffer := cap(first.Data)
	first.Release()
	n := 100_000
	if testing.Short() {
		n = 1000
	}
	for range n {
		one()
	}
	last := pics.Take()
	if last != first {
		t.Errorf("another buffer after %d pictures", n)
	}
	if c := cap(last.Data); c > 2*buffer {
		t.Errorf("a buffer of %d bytes grew to %d", buffer, c)
	}
	last.Release()
	// Strings of the header lines are all that is allocated.
	if a := testing.AllocsPerRun(100, one); a > 6 {
		t.Errorf("%v allocations for a picture", a)
	}
}
