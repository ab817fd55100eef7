package httpcam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// source is one camera. Requests live as long as it does, or until the watch bites.
type source struct {
	from   *opener
	url    url.URL // without user and password
	user   *url.Userinfo
	client *http.Client

	ctx   context.Context // of all requests
	end   context.CancelCauseFunc
	watch *watch

	body io.ReadCloser // of the answer in work
	pics *camera.Pictures
	seq  uint64 // of the next picture

	// Either a stream or single pictures.
	parts *parts
	poll  *poll
}

// errClosed ends requests when their source is closed.
var errClosed = errors.New("closed")

// open asks once, to learn what the camera sends. Its answer is also the first picture.
func (p *opener) open(ctx context.Context) (*source, error) {
	s := &source{from: p, url: *p.url, user: p.url.User, client: newClient(), pics: camera.NewPictures(p.opts)}
	s.url.User = nil
	s.ctx, s.end = context.WithCancelCause(context.WithoutCancel(ctx))
	s.watch = newWatch(p.patience, s.end)
	defer context.AfterFunc(ctx, func() { s.end(errClosed) })()
	err := s.begin()
	if err != nil {
		s.Close()
		return nil, s.why(ctx, err)
	}
	return s, nil
}

// noPicture is what there is to say of a stream that hangs.
const noPicture = "no picture came"

// begin asks and looks at the answer.
func (s *source) begin() error {
	answer, err := s.ask(nil)
	if err != nil {
		return err
	}
	s.body = answer.Body
	kind, params, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil && kind == "" { // boundaries that should have been quoted
		kind, _, _ = strings.Cut(answer.Header.Get("Content-Type"), ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
	}
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		s.watch.stage(noPicture)
		s.parts = newParts(answer.Body, params["boundary"], maxJPEG)
	case strings.HasPrefix(kind, "image/") || kind == "" || kind == "application/octet-stream":
		s.poll = newPoll(s, answer)
	default:
		return fmt.Errorf("it sends %.60s, which is neither a picture nor a stream of them: a page of the camera for people, perhaps?", kind)
	}
	return nil
}

// ask sends one request. more may add to it.
func (s *source) ask(more func(http.Header)) (*http.Response, error) {
	s.watch.stage("it did not answer")
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return nil, err
	}
	if s.user != nil {
		// In a header rather than in the URL, so that net/http does not take it to another host.
		password, _ := s.user.Password()
		req.SetBasicAuth(s.user.Username(), password)
	}
	if more != nil {
		more(req.Header)
	}
	answer, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusNotModified && more != nil {
		return answer, nil
	}
	answer.Body.Close()
	return nil, s.refused(answer)
}

// refused puts an answer that is no picture into words.
func (s *source) refused(a *http.Response) error {
	status := fmt.Sprintf("it answers %d %s", a.StatusCode, http.StatusText(a.StatusCode))
	switch scheme, _, _ := strings.Cut(a.Header.Get("WWW-Authenticate"), " "); {
	case a.StatusCode == http.StatusUnauthorized && s.user == nil:
		return fmt.Errorf("%s: it wants a user and a password: %s://USER:PASSWORD@%s", status, s.url.Scheme, s.url.Host)
	case a.StatusCode == http.StatusUnauthorized && scheme != "" && !strings.EqualFold(scheme, "basic"):
		return fmt.Errorf("%s: it wants %.20s authentication, where only basic is known here: choose basic in the camera's settings", status, scheme)
	case a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: user or password are not right", status)
	case a.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: the path is not right", status)
	case a.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%s: too many viewers, perhaps", status)
	}
	return errors.New(status)
}

// Next implements [camera.Source].
func (s *source) Next(ctx context.Context) (camera.Frame, error) {
	if err := ctx.Err(); err != nil {
		return camera.Frame{}, err
	}
	defer context.AfterFunc(ctx, func() { s.end(errClosed) })()
	var f camera.Frame
	var err error
	if s.parts != nil {
		f, err = s.nextPart()
	} else {
		f, err = s.poll.next(ctx)
	}
	if err != nil {
		return camera.Frame{}, s.why(ctx, err)
	}
	return f, nil
}

// nextPart returns the next part that is a picture.
func (s *source) nextPart() (camera.Frame, error) {
	s.watch.start()
	defer s.watch.stop()
	for bad := false; ; bad = true {
		p := s.pics.Take()
		data, err := s.parts.next(p.Data)
		p.Data = data
		at := time.Now()
		if err == nil {
			var f camera.Frame
			if f, err = s.frame(p, at); err == nil {
				if bad {
					s.watch.stage(noPicture)
				}
				return f, nil
			}
		} else {
			p.Release()
			if !errors.Is(err, errTooLong) {
				return camera.Frame{}, err
			}
			s.from.bad.Add(1)
		}
		s.watch.stage(fmt.Sprintf("no whole picture came (%v)", err))
	}
}

// frame makes a frame of p, or releases it.
func (s *source) frame(p *camera.Picture, at time.Time) (camera.Frame, error) {
	f, err := p.JPEG(at, s.seq)
	if err != nil {
		s.from.bad.Add(1)
		return f, err
	}
	s.seq++
	return f, nil
}

// why is the reason behind the error of a request that was ended from here.
func (s *source) why(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if cause := context.Cause(s.ctx); cause != nil && cause != errClosed {
		return cause
	}
	err = plain(err)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the camera closed the connection") // io.EOF is the end of what rightly ends
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("connection refused: nothing listens at %v: is the camera on, and its port right?", op.Addr)
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok && name.IsNotFound {
		return fmt.Errorf("no machine is called %.100q here: use the camera's number address, or mend its name", name.Name)
	}
	if text := err.Error(); len(text) > maxReason { // with what the camera sent in it
		return errors.New(text[:maxReason] + "…")
	}
	return err
}

// maxReason is more than the errors of this package need.
const maxReason = 300

// Close implements [camera.Source].
func (s *source) Close() error {
	s.end(errClosed)
	s.watch.stop()
	if s.body != nil {
		s.body.Close()
	}
	s.client.CloseIdleConnections()
	return nil
}

// watch ends the requests of a source when a picture takes too long, however many bytes
// come meanwhile.
type watch struct {
	patience time.Duration
	timer    *time.Timer
	what     atomic.Pointer[string] // is being waited for
}

func newWatch(patience time.Duration, end context.CancelCauseFunc) *watch {
	w := &watch{patience: patience}
	w.stage("it did not answer")
	w.timer = time.AfterFunc(patience, func() { end(fmt.Errorf("%s for %v", *w.what.Load(), patience)) })
	return w
}

// start gives the next picture its time.
func (w *watch) start()            { w.timer.Reset(w.patience) }
func (w *watch) stop()             { w.timer.Stop() }
func (w *watch) stage(what string) { w.what.Store(&what) }
