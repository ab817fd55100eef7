package pipe

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/internal/emulated"
)

// realFFmpeg is the path of the program; continuous integration has it.
func realFFmpeg(t *testing.T) string {
	t.Helper()
	emulated.SkipProcess(t)
	path, err := exec.LookPath(ffmpeg)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip("needs the program ffmpeg, which is not installed")
	return ""
}

// rtspServer is a camera as far as ffmpeg asks one: RTSP 1.0 (RFC 2326) with H.264 in the
// same connection (RFC 6184). After a film the camera hangs up.
type rtspServer struct {
	film [][]byte // units without start codes
}

// serve answers one client.
func (s *rtspServer) serve(c net.Conn) {
	defer c.Close()
	r := textproto.NewReader(bufio.NewReader(c))
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		method, _, _ := strings.Cut(line, " ")
		answer, body := "", ""
		switch method {
		case "OPTIONS":
			answer = "Public: DESCRIBE, SETUP, PLAY\r\n"
		case "DESCRIBE":
			body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:video\r\n"
			answer = fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n", len(body))
		case "SETUP":
			answer = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
		case "PLAY":
			answer = "Session: 1\r\n"
		}
		if _, err := fmt.Fprintf(c, "RTSP/1.0 200 OK\r\nCSeq: %s\r\n%s\r\n%s", header.Get("CSeq"), answer, body); err != nil {
			return
		}
		if method == "PLAY" {
			s.play(c)
			return
		}
	}
}

// play sends the film of 25 pictures a second, four times as fast.
func (s *rtspServer) play(c net.Conn) {
	for number, u := range s.film {
		slice := u[0]&31 == 1 || u[0]&31 == 5 // the whole of a picture, as it is encoded here
		p := []byte{'$', 0, 0, 0, 0x80, 96}
		if slice {
			p[5] |= 0x80
		}
		p = binary.BigEndian.AppendUint16(p, uint16(number))
		p = binary.BigEndian.AppendUint32(p, uint32(s.pictures(number)*90000/25))
		p = append(binary.BigEndian.AppendUint32(p, 1), u...)
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)-4))
		if _, err := c.Write(p); err != nil {
			return
		}
		if slice {
			time.Sleep(time.Second / 100)
		}
	}
}

// pictures counts those before a unit.
func (s *rtspServer) pictures(unit int) (n int) {
	for _, u := range s.film[:unit] {
		if u[0]&31 == 1 || u[0]&31 == 5 {
			n++
		}
	}
	return n
}

// start listens until the test ends, and returns HOST:PORT.
func (s *rtspServer) start(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	clients.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			clients.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		clients.Wait()
	})
	return ln.Addr().String()
}

// TestRealRTSP: the whole way, from a server that speaks RTSP through ffmpeg, which a camera
// that hangs up again and again does not end. EDGED_UNPLUGS says how often it does; make
// soak has 200.
func TestRealRTSP(t *testing.T) {
	path := realFFmpeg(t)
	file := filepath.Join(t.TempDir(), "film.h264")
	// Two seconds, whose units each fit into a packet of TCP.
	out, err := exec.Command(path, "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25:duration=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "5", "-x264-params", "slices=1:threads=1", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	film, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s rtspServer
	for u := range bytes.SplitSeq(film, []byte{0, 0, 1}) {
		if u = bytes.TrimRight(u, "\x00"); len(u) > 0 {
			s.film = append(s.film, u)
		}
	}
	host := s.start(t)
	times := 3
	if testing.Short() {
		times = 2
	}
	if n, err := strconv.Atoi(os.Getenv("EDGED_UNPLUGS")); err == nil {
		times = n
	}
	before := descriptors(t)
	c, err := camera.Open("rtsp://u:"+canary+"@"+host+"/live", &camera.Options{Kinds: map[string]func(string, *camera.Options) (camera.Kind, error){
		"rtsp": func(rest string, o *camera.Options) (camera.Kind, error) {
			k, err := RTSP("rtsp", rest, o)
			k.MaxWait = time.Millisecond
			return k, err
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	last, longest := time.Now(), time.Duration(0)
	for {
		f, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		longest, last = max(longest, time.Since(last)), time.Now()
		img := f.Image.(*image.YCbCr)
		if f.Size != image.Pt(160, 120) || img.Y[0] == img.Y[80] && img.Y[0] == img.Y[159] {
			t.Fatalf("picture of %v, %v", f.Size, img.Y[:160])
		}
		f.Release()
		if c.Status().Faults >= uint64(times) {
			break
		}
	}
	st := c.Status()
	if st.State != camera.Live || st.Hung != 0 || strings.Contains(fmt.Sprint(st), canary) {
		t.Errorf("%+v", st)
	}
	// ffmpeg looks at the first ones to learn what comes, and does not show them.
	if st.Frames < uint64(20*times) {
		t.Errorf("%d pictures of %d films", st.Frames, times)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("hung up %d times, %d pictures; without one for %v at most", st.Faults, st.Frames, longest)
	// The server still holds its end of the last connection for a moment.
	until(t, fmt.Sprintf("%d descriptors, as before", before), func() bool { return descriptors(t) <= before })
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
