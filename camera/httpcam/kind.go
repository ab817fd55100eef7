package httpcam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// Kind understands what follows "http:" or "https:" in a spec,
// //[USER:PASSWORD@]HOST[:PORT]/PATH. User and password are for HTTP's basic
// authentication. Options.Rate is how often a camera that sends single pictures is asked
// for one, once a second if it says nothing; streams come at the camera's rate.
func Kind(scheme, rest string, o *camera.Options) (camera.Kind, error) {
	u, err := url.Parse(scheme + ":" + rest)
	if err != nil {
		return camera.Kind{}, errURL // err quotes the URL, and the password with it
	}
	if u.Host == "" {
		return camera.Kind{}, fmt.Errorf("want %s://HOST/PATH", scheme)
	}
	if o.Decode == nil {
		return camera.Kind{}, errors.New("no decoder for pictures was given")
	}
	every := time.Second
	if o.Rate > 0 {
		every = max(time.Duration(float64(time.Second)/o.Rate), minEvery)
	}
	p := &opener{url: u, every: every, patience: patience, opts: o}
	return p.kind(), nil
}

// opener opens one camera, again and again.
type opener struct {
	url             *url.URL
	every, patience time.Duration
	opts            *camera.Options
	bad             atomic.Uint64 // pictures that were none
}

func (p *opener) kind() camera.Kind {
	return camera.Kind{
		Repeats:  time.Minute + 2*p.every,               // servers of single pictures may keep one for a while
		Patience: p.every + p.patience + 10*time.Second, // those of source are shorter and know more
		Open:     func(ctx context.Context) (camera.Source, error) { return p.open(ctx) },
		Bad:      p.bad.Load,
	}
}

var errURL = errors.New("this is no URL; in a user or password, characters like / @ : ? # are written %2F %40 %3A %3F %23")

// patience is how long a camera may take to its next picture.
const patience = 8 * time.Second

// minEvery keeps a typing error from becoming an attack on a camera.
const minEvery = 20 * time.Millisecond

// maxAnswerHeader bounds the header of an answer.
const maxAnswerHeader = 64 << 10

// newClient returns a client for one camera. Proxies of the environment are for the
// internet, not for cameras.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			MaxResponseHeaderBytes: maxAnswerHeader,
			MaxIdleConns:           1,
			DisableCompression:     true,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) >= 5 {
				return errors.New("redirected five times")
			}
			if req.URL.Scheme != "https" && via[0].URL.Scheme == "https" {
				return errors.New("redirected from https to http, where the password could be read")
			}
			return nil
		},
	}
}

// plain is the error within those of net/http and net/url, which quote the whole URL.
func plain(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}
