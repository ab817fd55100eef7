package fw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Download reads a bundle from a web server. Where a connection breaks or stalls
// it asks for the rest, with longer and longer pauses. It is an [io.Reader], and an [io.Seeker]
// forward from where it is: what is passed over is not fetched where the server
// knows ranges. What comes is believed no more than a file.
type Download struct {
	Rate     int64         // bytes a second at most; 0: as they come
	Patience time.Duration // for the next byte, over all tries; 0: 10 minutes
	// Retry is called before a pause, when not nil.
	Retry func(err error, pause time.Duration)

	ctx    context.Context
	client *http.Client
	url    *url.URL
	at     int64  // of the next byte
	tag    string // of the file, once it has told one

	body  io.ReadCloser // nil: none is open
	alive *time.Timer   // ends a connection that stalls
	stall time.Duration // for as long as this
	begun time.Time     // when the rate began to count
	taken int64         // since
}

const (
	stalled  = 30 * time.Second
	maxPause = time.Minute
)

// NewDownload prepares to read from an http or https URL. It ends with ctx.
func NewDownload(ctx context.Context, address string) (*Download, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("not the address of a file on a web server, such as https://host/name.fw")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = stalled
	t.DisableCompression = true
	return &Download{ctx: ctx, client: &http.Client{Transport: t}, url: u, stall: stalled}, nil
}

// String is the address, without a password.
func (d *Download) String() string { return d.url.Redacted() }

// permanent is an error that asking again does not help.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Read implements [io.Reader].
func (d *Download) Read(p []byte) (int, error) {
	patience := d.Patience
	if patience == 0 {
		patience = 10 * time.Minute
	}
	begun, pause := time.Now(), time.Second
	for {
		n, err := d.read(p)
		if n > 0 || err == nil || err == io.EOF {
			return n, err
		}
		d.Close()
		if d.ctx.Err() != nil {
			return 0, d.ctx.Err()
		}
		if _, ok := errors.AsType[permanent](err); ok {
			return 0, err
		}
		if time.Since(begun)+pause > patience {
			return 0, fmt.Errorf("given up after %v: %w", time.Since(begun).Round(time.Second), err)
		}
		if d.Retry != nil {
			d.Retry(err, pause)
		}
		if err := sleep(d.ctx, pause); err != nil {
			return 0, err
		}
		pause = min(2*pause, maxPause)
	}
}

func sleep(ctx context.Context, t time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(t):
		return nil
	}
}

// read reads from the connection that there is, or a new one.
func (d *Download) read(p []byte) (n int, err error) {
	if d.body == nil {
		if err := d.open(); err != nil {
			return 0, err
		}
	}
	if d.Rate > 0 {
		if err := d.slow(); err != nil {
			return 0, err
		}
		// In pieces of a tenth of a second, so that it flows.
		p = p[:min(int64(len(p)), max(1, d.Rate/10))]
	}
	d.alive.Reset(d.stall)
	n, err = d.body.Read(p)
	d.alive.Stop()
	d.at += int64(n)
	d.taken += int64(n)
	if errors.Is(err, context.Canceled) && d.ctx.Err() == nil {
		err = fmt.Errorf("no byte came for %v", d.stall)
	}
	if err == io.ErrUnexpectedEOF && n > 0 {
		d.Close()
		err = nil // the rest is asked for
	}
	return n, err
}

// slow waits until more may be read.
func (d *Download) slow() error {
	due := time.Duration(float64(d.taken) / float64(d.Rate) * float64(time.Second))
	ahead := due - time.Since(d.begun)
	if ahead < -time.Second {
		d.begun, d.taken = time.Now(), 0 // what was not used is not saved up
	}
	if ahead <= 0 {
		return nil
	}
	return sleep(d.ctx, ahead)
}

// open asks for the bytes from at on.
func (d *Download) open() error {
	ctx, cancel := context.WithCancel(d.ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		cancel()
		return permanent{err}
	}
	if d.at > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(d.at, 10)+"-")
		if d.tag != "" {
			req.Header.Set("If-Range", d.tag)
		}
	}
	resp, err := d.client.Do(req)
	if err != nil {
		cancel()
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the address is told once
		}
		return err
	}
	body := &connection{resp.Body, cancel}
	if err := d.accept(resp, body); err != nil {
		body.Close()
		return err
	}
	d.body, d.alive = body, time.AfterFunc(d.stall, cancel)
	d.begun, d.taken = time.Now(), 0
	return nil
}

// accept checks an answer, and brings its body to where reading goes on.
func (d *Download) accept(resp *http.Response, body io.Reader) error {
	tag := resp.Header.Get("ETag")
	if strings.HasPrefix(tag, "W/") { // that of another file with the same meaning
		tag = ""
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		if d.tag != "" && tag != d.tag {
			return permanent{errors.New("the file on the server was exchanged while it was read")}
		}
		d.tag = tag
		if _, err := io.CopyN(io.Discard, body, d.at); err != nil {
			return fmt.Errorf("while passing over what is there: %w", err)
		}
		return nil
	case resp.StatusCode == http.StatusPartialContent && d.at > 0:
		if want := "bytes " + strconv.FormatInt(d.at, 10) + "-"; !strings.HasPrefix(resp.Header.Get("Content-Range"), want) {
			return permanent{fmt.Errorf("the server was asked for bytes from %d and says %.80q", d.at, resp.Header.Get("Content-Range"))}
		}
		return nil
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return permanent{io.ErrUnexpectedEOF}
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return errors.New("the server says " + resp.Status)
	}
	return permanent{errors.New("the server says " + resp.Status)}
}

// connection ends a request with its body.
type connection struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *connection) Close() error {
	c.cancel()
	return c.ReadCloser.Close()
}

// Seek implements [io.Seeker], forward from the present place.
func (d *Download) Seek(n int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || n < 0 {
		return 0, errors.ErrUnsupported
	}
	if n > 0 {
		d.Close()
		d.at += n
	}
	return d.at, nil
}

// Close ends the connection.
func (d *Download) Close() error {
	if d.body == nil {
		return nil
	}
	d.alive.Stop()
	err := d.body.Close()
	d.body = nil
	return err
}

// CloseIdle lets go of connections that are kept for another request.
func (d *Download) CloseIdle() { d.client.CloseIdleConnections() }
