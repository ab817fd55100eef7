package fw

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/internal/faultdisk"
)

// server serves data; answer may do something else, and says whether it did.
func server(t *testing.T, data []byte, answer func(w http.ResponseWriter, r *http.Request, n int64) bool) string {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != nil && answer(w, r, n.Add(1)) {
			return
		}
		w.Header().Set("ETag", `"7"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/garden.fw"
}

func download(t *testing.T, address string) *Download {
	t.Helper()
	d, err := NewDownload(t.Context(), address)
	must(t, err)
	t.Cleanup(func() { d.Close(); d.CloseIdle() })
	return d
}

// TestDownload installs from a server that cuts every connection after a while, after a part of the bundle
// was installed from it before.
func TestDownload(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	data, trusted := build(t, payloads(), true), keys(t, "minisign.pub")
	var served, requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("ETag", `"7"`)
		http.ServeContent(&cutting{w, &served, 3 << 20}, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer s.Close()
	disk := faultdisk.New()
	if err := install(disk, data[:ChunkSize+ChunkSize/2], trusted, InstallOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	d, err := NewDownload(t.Context(), s.URL)
	must(t, err)
	defer d.CloseIdle()
	defer d.Close()
	b, err := Open(d, trusted)
	must(t, err)
	must(t, store(t, disk).Install(b, &InstallOptions{}))
	i, err := store(t, disk).Start(t.Context(), "")
	must(t, err)
	must(t, i.check(t.Context()))
	if n := requests.Load(); n < 3 {
		t.Errorf("%d requests", n)
	}
	t.Logf("%d requests, %d bytes served of %d", requests.Load(), served.Load(), len(data))
}

// cutting ends a connection after limit bytes.
type cutting struct {
	http.ResponseWriter
	served *atomic.Int64
	limit  int
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.limit -= len(p); c.limit < 0 {
		panic(http.ErrAbortHandler)
	}
	c.served.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

func TestDownloadAnswers(t *testing.T) {
	data := noise(100_000)
	t.Run("no ranges", func(t *testing.T) {
		d := download(t, server(t, data, func(w http.ResponseWriter, r *http.Request, n int64) bool {
			w.Write(data)
			return true
		}))
		if _, err := d.Seek(1000, io.SeekCurrent); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, data[1000:]) {
			t.Errorf("%d bytes: %v", len(got), err)
		}
	})
	t.Run("busy first", func(t *testing.T) {
		d := download(t, server(t, data, func(w http.ResponseWriter, r *http.Request, n int64) bool {
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n == 1
		}))
		var why error
		d.Retry = func(err error, _ time.Duration) { why = err }
		if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, data) || why == nil {
			t.Errorf("%d bytes: %v; tried again because of %v", len(got), err, why)
		}
	})
	t.Run("stalls", func(t *testing.T) {
		d := download(t, server(t, data, func(w http.ResponseWriter, r *http.Request, n int64) bool {
			if n == 1 {
				w.Write(data[:5000])
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}
			return n == 1
		}))
		d.stall = 100 * time.Millisecond
		var why error
		d.Retry = func(err error, _ time.Duration) { why = err }
		if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, data) || why == nil || why.Error() != "no byte came for 100ms" {
			t.Errorf("%d bytes: %v; tried again because of %v", len(got), err, why)
		}
	})
	fails := func(name, want string, answer func(w http.ResponseWriter, r *http.Request, n int64) bool) {
		t.Helper()
		expect := regexp.MustCompile(want)
		t.Run(name, func(t *testing.T) {
			d := download(t, server(t, data, answer))
			d.Patience = 1
			var err error
			if _, err = io.CopyN(io.Discard, d, 50_000); err == nil {
				d.Seek(1, io.SeekCurrent)
				_, err = io.ReadAll(d)
			}
			if err == nil || !expect.MatchString(err.Error()) {
				t.Errorf("want %q: %v", want, err)
			}
		})
	}
	fails("missing", "404 Not Found", func(w http.ResponseWriter, r *http.Request, n int64) bool {
		http.NotFound(w, r)
		return true
	})
	fails("always busy", `given up after \d+s: the server says 500`, func(w http.ResponseWriter, r *http.Request, n int64) bool {
		w.WriteHeader(500)
		return true
	})
	fails("exchanged", "was exchanged while it was read", func(w http.ResponseWriter, r *http.Request, n int64) bool {
		if n > 1 {
			w.Header().Set("ETag", `"8"`)
			w.Write(data)
		}
		return n > 1
	})
	fails("another range", "was asked for bytes from", func(w http.ResponseWriter, r *http.Request, n int64) bool {
		if n > 1 {
			w.Header().Set("Content-Range", "bytes 0-9/100000")
			w.WriteHeader(http.StatusPartialContent)
		}
		return n > 1
	})
	if d, err := NewDownload(t.Context(), "https://me:secret@host/garden.fw"); err != nil || strings.Contains(d.String(), "secret") {
		t.Errorf("%v: %v", d, err)
	}
	for _, address := range []string{"", "ftp://host/x", "/tmp/x", "https://", "http://a b/"} {
		if _, err := NewDownload(context.Background(), address); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}

// TestDownloadRate: all but the last tenth of a second takes its time, whatever the machine does.
func TestDownloadRate(t *testing.T) {
	data := noise(60_000)
	d := download(t, server(t, data, nil))
	d.Rate = 200_000
	begun := time.Now()
	got, err := io.ReadAll(d)
	if took := time.Since(begun); err != nil || !bytes.Equal(got, data) || took < 200*time.Millisecond {
		t.Errorf("%d bytes in %v: %v", len(got), took, err)
	}
}
