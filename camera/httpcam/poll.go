package httpcam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// poll asks for single pictures at a steady rate.
type poll struct {
	*source
	due    time.Time      // of the next request
	answer *http.Response // not read yet: the one that the source was opened with

	row int // pictures one after the other that were none

	// What to say so that a camera with nothing new does not send it again.
	tag, modified string
}

func newPoll(s *source, first *http.Response) *poll {
	return &poll{source: s, answer: first, due: time.Now()}
}

// next waits for the next new picture. A camera that says it has nothing new is alive.
func (p *poll) next(ctx context.Context) (camera.Frame, error) {
	for {
		if p.answer == nil {
			p.watch.stop()
			if err := camera.SleepUntil(ctx, p.due); err != nil {
				return camera.Frame{}, err
			}
			p.watch.start()
			a, err := p.ask(p.unlessSeen)
			if err != nil {
				return camera.Frame{}, err
			}
			p.answer, p.body = a, a.Body
		}
		at := time.Now()
		// Requests that are late are left out, not caught up with.
		p.due = p.due.Add(max(at.Sub(p.due)/p.from.every, 1) * p.from.every)
		f, fresh, err := p.read(at)
		switch {
		case errors.Is(err, camera.ErrJPEG) && p.row < maxBad:
			p.row++
		case fresh || err != nil:
			p.watch.stop()
			p.row = 0
			return f, err
		}
	}
}

// maxBad is how many pictures in a row may be damaged: cameras may be asked while they
// write one.
const maxBad = 3

// unlessSeen makes a request conditional.
func (p *poll) unlessSeen(h http.Header) {
	if p.tag != "" {
		h.Set("If-None-Match", p.tag)
	}
	if p.modified != "" {
		h.Set("If-Modified-Since", p.modified)
	}
}

// read reads the answer; false when it says that nothing is new.
func (p *poll) read(at time.Time) (camera.Frame, bool, error) {
	a := p.answer
	p.answer = nil
	defer a.Body.Close()
	if a.StatusCode == http.StatusNotModified {
		return camera.Frame{}, false, nil
	}
	p.watch.stage("the picture did not come whole")
	if a.ContentLength > maxJPEG {
		return camera.Frame{}, false, fmt.Errorf("a picture of %d bytes, at most %d MiB are taken", a.ContentLength, maxJPEG>>20)
	}
	pic := p.pics.Take()
	var err error
	if pic.Data, err = readAll(pic.Data, a.Body, maxJPEG); err != nil {
		pic.Release()
		return camera.Frame{}, false, err
	}
	f, err := p.frame(pic, at)
	if err == nil {
		p.tag, p.modified = a.Header.Get("ETag"), a.Header.Get("Last-Modified")
	}
	return f, err == nil, err
}

// readAll appends all of r to dst, at most limit bytes.
func readAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errTooLong
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
