package httpcam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// short is patience for cameras that are going to try it.
const short = 50 * time.Millisecond

// try opens a camera and reads until it fails.
func try(ctx context.Context, t *testing.T, address string, patience time.Duration, most int) (frames int, err error) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := (&opener{url: u, every: time.Millisecond, patience: patience, opts: &camera.Options{Decode: decode}}).open(ctx)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for frames < most {
		f, err := s.Next(ctx)
		if err != nil {
			return frames, err
		}
		if err := f.Decode(); err != nil {
			t.Error(err)
		}
		f.Release()
		frames++
	}
	return frames, nil
}

// canary is a password that must be in no error.
const canary = "s3cr3t-canary"

// TestRudeCameras: whatever a camera does ends in a reason, and the reason holds no secret.
func TestRudeCameras(t *testing.T) {
	huge := strings.Repeat("x", 10<<20)
	for _, tt := range []struct {
		name   string
		talk   func(c net.Conn, n int, request string)
		frames int
		want   string
	}{
		{"does not answer", func(c net.Conn, _ int, _ string) { hang(c) }, 0, "it did not answer for 50ms"},
		{"hangs in the status", func(c net.Conn, _ int, _ string) { io.WriteString(c, "HTTP/1.1 2"); hang(c) }, 0, "it did not answer"},
		{"hangs in the header", func(c net.Conn, _ int, _ string) { io.WriteString(c, mixed[:60]); hang(c) }, 0, "it did not answer"},
		{"hangs before a part", func(c net.Conn, _ int, _ string) { io.WriteString(c, mixed); hang(c) }, 0, "no picture came for 50ms"},
		{"hangs in a part's header", func(c net.Conn, _ int, _ string) { io.WriteString(c, mixed+part(photo(1))[:20]); hang(c) }, 0, "no picture came"},
		{"hangs in a picture", func(c net.Conn, _ int, _ string) { io.WriteString(c, mixed+part(photo(1))[:300]); hang(c) }, 0, "no picture came"},
		{"hangs after one", func(c net.Conn, _ int, _ string) { io.WriteString(c, mixed+part(photo(1))); hang(c) }, 1, "no picture came"},
		{"drips", func(c net.Conn, _ int, _ string) {
			for b := range strings.SplitSeq(mixed+part(photo(1)), "") {
				if _, err := io.WriteString(c, b); err != nil {
					return
				}
				time.Sleep(short / 100)
			}
			hang(c)
		}, 0, "for 50ms"},
		{"sends nothing but text parts", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, mixed)
			for {
				if _, err := io.WriteString(c, "--frame\r\n\r\nhello\r\n"); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}, 0, "no whole picture came (bad JPEG: no picture begins in 5 bytes)"},
		{"hangs up", func(c net.Conn, _ int, _ string) {}, 0, "closed the connection"},
		{"hangs up in a picture", func(c net.Conn, _ int, _ string) { io.WriteString(c, mixed+part(photo(1))+part(photo(2))[:200]) }, 1, "closed the connection"},
		{"resets", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, mixed+part(photo(1)))
			hangUp(c)
		}, -1, "reset"},
		{"ends its stream", func(c net.Conn, _ int, _ string) { io.WriteString(c, mixed+part(photo(1))+"--frame--\r\n") }, 1, "the camera ended its stream"},
		{"speaks no HTTP", func(c net.Conn, _ int, _ string) { io.WriteString(c, "220 ftp ready\r\n") }, 0, "malformed HTTP"},
		{"sends a huge status", func(c net.Conn, _ int, _ string) { io.WriteString(c, "HTTP/1.1 "+huge) }, 0, ""},
		{"sends a huge header", func(c net.Conn, _ int, _ string) { io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+huge) }, 0, "exceeded 65536 bytes"},
		{"sends endless headers", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Y: z\r\n", 1<<17))
		}, 0, "exceeded 65536 bytes"},
		{"sends endless headers of a part", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, mixed+"--frame\r\n"+strings.Repeat("X-Y: z\r\n", 1<<17))
		}, 0, "headers of more than 64 KiB"},
		{"sends a web page", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>")
		}, 0, "it sends text/html, which is neither"},
		{"wants a password", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, status(401, `WWW-Authenticate: Basic realm="x"`))
		}, 0, "user or password are not right"},
		{"wants digest", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, status(401, `WWW-Authenticate: Digest realm="x"`))
		}, 0, "wants Digest authentication"},
		{"does not find it", func(c net.Conn, _ int, _ string) { io.WriteString(c, status(404)) }, 0, "404 Not Found: the path"},
		{"is full", func(c net.Conn, _ int, _ string) { io.WriteString(c, status(503)) }, 0, "too many viewers"},
		{"sends in circles", func(c net.Conn, _ int, _ string) { io.WriteString(c, status(302, "Location: /again")) }, 0, "redirected five times"},
		{"sends elsewhere", func(c net.Conn, _ int, _ string) { io.WriteString(c, status(302, "Location: file:///etc/passwd")) }, 0, "unsupported protocol scheme"},
		{"sends a picture of 4 GB", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 4294967296\r\n\r\n")
			hang(c)
		}, 0, "a picture of 4294967296 bytes"},
		{"sends an endless picture", func(c net.Conn, _ int, _ string) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n")
			for {
				if _, err := io.WriteString(c, huge[:1<<20]); err != nil {
					return
				}
			}
		}, 0, ""}, // too large or too slow, whichever comes first
		{"sends half pictures", func(c net.Conn, _ int, _ string) { io.WriteString(c, single(photo(1)[:300])) }, 0, "bad JPEG: a segment of 418 bytes"},
		{"hangs in a single picture", func(c net.Conn, _ int, _ string) { io.WriteString(c, single(photo(1))[:200]); hang(c) }, 0, "the picture did not come whole for 50ms"},
		{"hangs with the third picture", func(c net.Conn, n int, _ string) {
			io.WriteString(c, single(photo(1)))
			if _, err := readRequest(c); err == nil {
				io.WriteString(c, single(photo(2)))
				hang(c)
			}
		}, 2, "it did not answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := rude(t, tt.talk)
			address := strings.Replace(u, "http://", "http://admin:"+canary+"@", 1) + "/x?pwd=" + canary
			patience := short
			if !strings.Contains(tt.want, "for 50ms") && !strings.Contains(tt.name, "hang") && tt.want != "" && !strings.Contains(tt.want, "whole") {
				patience = time.Minute // must be told for its fault, not for being slow
			}
			frames, err := try(t.Context(), t, address, patience, 1000)
			// A busy machine may not even have connected by then, or have come to what is to be seen.
			for ; err != nil && !strings.Contains(err.Error(), tt.want) && strings.Contains(err.Error(), "for "+patience.String()) && patience < 10*time.Second; patience *= 4 {
				tt.want = strings.Replace(tt.want, patience.String(), (4 * patience).String(), 1)
				frames, err = try(t.Context(), t, address, 4*patience, 1000)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("after %d frames: %v, want %q", frames, err, tt.want)
			}
			if tt.frames >= 0 && frames > tt.frames {
				t.Errorf("%d frames, want %d: %v", frames, tt.frames, err)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the password is in %q", err)
			}
			if errors.Is(err, io.EOF) {
				t.Errorf("%v ends the view", err)
			}
			if len(err.Error()) > maxReason+10 {
				t.Errorf("a reason of %d bytes", len(err.Error()))
			}
		})
	}
}

func hangUp(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// TestUnreachable: a port where nobody listens, and a name that nobody has.
func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://a:" + canary + "@" + ln.Addr().String() + "/?k=" + canary
	ln.Close()
	if _, err := try(t.Context(), t, address, time.Minute, 1); err == nil || !strings.Contains(err.Error(), "refused: nothing listens at "+ln.Addr().String()) || strings.Contains(err.Error(), canary) {
		t.Error(err)
	}
	s := &source{ctx: t.Context()}
	err = s.why(t.Context(), &url.Error{Op: "Get", URL: address, Err: &net.OpError{Op: "dial", Err: &net.DNSError{Name: "yard", IsNotFound: true}}})
	if want := `no machine is called "yard" here`; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestPasswordGoesToItsHostOnly: not to where a camera redirects.
func TestPasswordGoesToItsHostOnly(t *testing.T) {
	var here, there atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there.Store(fmt.Sprint(r.Header))
		w.Write(photo(4))
	}))
	defer other.Close()
	// Another name of the same machine is another host.
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		here.Store(u + " " + p)
		http.Redirect(w, r, elsewhere, http.StatusFound)
	}))
	defer s.Close()
	n, err := try(t.Context(), t, strings.Replace(s.URL, "http://", "http://me:"+canary+"@", 1), time.Minute, 1)
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if here.Load() != "me "+canary || strings.Contains(there.Load().(string), "Authorization") || strings.Contains(there.Load().(string), canary) {
		t.Errorf("here %v, there %v", here.Load(), there.Load())
	}
}

// TestNotToPlain: no redirect from https to http.
func TestNotToPlain(t *testing.T) {
	c := newClient()
	from, to := httptest.NewRequest("GET", "https://cam/", nil), httptest.NewRequest("GET", "http://cam/", nil)
	if c.CheckRedirect(to, []*http.Request{from}) == nil || c.CheckRedirect(from, []*http.Request{to}) != nil {
		t.Error("https to http is taken, or http to https is not")
	}
}

// TestPolling: pictures that are not new are not sent again, and are no frames.
func TestPolling(t *testing.T) {
	var asked, sent atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1) - 1
		tag := fmt.Sprintf(`"%d"`, n/4) // each picture is there for four requests
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent.Add(1)
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write(photo(int(n / 4)))
	}))
	defer s.Close()
	u, _ := url.Parse(s.URL)
	src, err := (&opener{url: u, every: time.Millisecond, patience: time.Minute, opts: &camera.Options{Decode: decode}}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for want := range 20 {
		f, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Decode(); err != nil || number(f.Image) != want || f.Seq != uint64(want) {
			t.Errorf("picture %d of sequence %d, want %d: %v", number(f.Image), f.Seq, want, err)
		}
		f.Release()
	}
	if asked.Load() < 77 || sent.Load() != 20 {
		t.Errorf("asked %d times, sent %d", asked.Load(), sent.Load())
	}
}

// TestPollingForgivesOneBadPicture, which cameras send that are asked while they write it.
func TestPollingForgivesOneBadPicture(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/jpeg")
		p := photo(5)
		if n := asked.Add(1); n%2 == 0 {
			p = p[:len(p)/2]
		}
		w.Write(p)
	}))
	defer s.Close()
	if n, err := try(t.Context(), t, s.URL, time.Minute, 10); n != 10 || err != nil {
		t.Error(n, err)
	}
}

// follow opens a camera as "http:" does, without pauses and patience.
func follow(t *testing.T, address string) *camera.Camera {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := camera.Open("http:", &camera.Options{Kinds: map[string]func(string, *camera.Options) (camera.Kind, error){
		"http": func(string, *camera.Options) (camera.Kind, error) {
			k := (&opener{url: u, every: time.Millisecond, patience: time.Minute, opts: &camera.Options{Decode: decode}}).kind()
			k.MaxWait = time.Millisecond
			return k, nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestUnplugs: a camera that hangs up 200 times, in one way after the other, and is back
// each time.
func TestUnplugs(t *testing.T) {
	const times = 200
	for name, way := range map[string][]string{
		"stream": {mixed + part(photo(1)), mixed + part(photo(1)) + part(photo(2))[:100], mixed + part(photo(1)) + "--frame--\r\n"},
		"single": {single(photo(1)), single(photo(1), "Connection: close")},
	} {
		t.Run(name, func(t *testing.T) {
			var plugged atomic.Int64
			u := rude(t, func(c net.Conn, n int, _ string) {
				plugged.Add(1)
				io.WriteString(c, way[n%len(way)])
				if n%2 == 0 {
					hangUp(c)
				}
			})
			before := descriptors(t)
			c := follow(t, u)
			for plugged.Load() < times {
				f, err := c.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				f.Release()
			}
			if s := c.Status(); s.Frames < times/4 || s.State != camera.Live {
				t.Errorf("after %d connections: %+v", plugged.Load(), s)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			for end := time.Now().Add(time.Minute); descriptors(t) > before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d descriptors, %d before", descriptors(t), before)
				}
			}
		})
	}
}

// descriptors counts those of this process, where the system tells.
func descriptors(t *testing.T) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(files)
}

// TestDamagedPicturesAreCounted, of streams and single ones, through all attempts.
func TestDamagedPicturesAreCounted(t *testing.T) {
	half := photo(1)[:300]
	for name, way := range map[string][]string{
		"stream": {mixed + part(half) + part([]byte("text")) + part(photo(1)) + "--frame--"},
		"single": {single(half), single(half), single(photo(1))},
	} {
		t.Run(name, func(t *testing.T) {
			u := rude(t, func(c net.Conn, n int, _ string) {
				for i, answer := range way {
					if i > 0 {
						readRequest(c)
					}
					io.WriteString(c, answer)
				}
				if name == "single" {
					hang(c)
				}
			})
			c := follow(t, u)
			defer c.Close()
			frames := map[string]uint64{"stream": 2, "single": 1}[name]
			for range frames {
				f, err := c.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				f.Release()
			}
			if s := c.Status(); s.Bad != 2*frames {
				t.Errorf("%d damaged pictures, want %d: %+v", s.Bad, 2*frames, s)
			}
		})
	}
}

// TestSupervised: the whole way, through a spec.
func TestSupervised(t *testing.T) {
	u := rude(t, func(c net.Conn, n int, _ string) {
		switch n {
		case 0:
			hangUp(c)
		case 1:
			io.WriteString(c, status(503))
		case 2:
			io.WriteString(c, mixed+part(photo(1)))
		default:
			good(c)
		}
	})
	var reasons []string
	_, rest, _ := strings.Cut(strings.Replace(u, "//", "//a:"+canary+"@", 1), ":")
	c, err := camera.Open("http:"+rest, &camera.Options{
		Decode: decode,
		Kinds: map[string]func(string, *camera.Options) (camera.Kind, error){
			"http": func(rest string, o *camera.Options) (camera.Kind, error) { return Kind("http", rest, o) },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Notify(func(s camera.Status) { reasons = append(reasons, s.String()) })
	for range 20 {
		f, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
	if all := strings.Join(reasons, "\n"); strings.Contains(all, canary) || !strings.Contains(all, "503") || !strings.HasSuffix(all, ": live") {
		t.Error(all)
	}
}

// TestOneHungCamera: a camera that hangs, in whatever stage, costs the others nothing:
// they deliver all they have while it hangs.
func TestOneHungCamera(t *testing.T) {
	for stage, talk := range map[string]func(net.Conn){
		"answer":  func(net.Conn) {},
		"header":  func(c net.Conn) { io.WriteString(c, mixed[:30]) },
		"part":    func(c net.Conn) { io.WriteString(c, mixed) },
		"picture": func(c net.Conn) { io.WriteString(c, mixed+part(photo(1))[:200]) },
	} {
		t.Run(stage, func(t *testing.T) {
			hung := rude(t, func(c net.Conn, _ int, _ string) { talk(c); hang(c) })
			well := rude(t, func(c net.Conn, _ int, _ string) { good(c) })
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() {
				if _, err := try(ctx, t, hung, time.Hour, 1); !errors.Is(err, context.Canceled) {
					t.Errorf("hung camera: %v", err)
				}
			})
			var others sync.WaitGroup
			for range 3 {
				others.Go(func() {
					if n, err := try(ctx, t, well, time.Minute, 200); n != 200 {
						t.Errorf("%d frames beside a hung camera: %v", n, err)
					}
				})
			}
			others.Wait()
			cancel()
			all.Wait()
		})
	}
}

func TestKindRefuses(t *testing.T) {
	for spec, want := range map[string]string{
		"//u:" + canary + "/p@cam/":     "this is no URL",
		"/path":                         "want http://HOST/PATH",
		"//cam:" + canary + "@x:port/y": "this is no URL",
	} {
		if _, err := Kind("http", spec, &camera.Options{Decode: decode}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", spec, err)
		}
	}
}
