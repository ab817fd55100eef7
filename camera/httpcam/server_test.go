package httpcam

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func decode(data []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(data)) }

// photo is a small JPEG whose grey tells its number.
func photo(n int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 16, 8))
	for i := range img.Pix {
		img.Pix[i] = uint8(8 * n)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// number is the number of the picture.
func number(img image.Image) int {
	return (int(color.GrayModel.Convert(img.At(3, 3)).(color.Gray).Y) + 4) / 8
}

// rude is a server that reads a request and then does with the connection as it likes.
// The n-th connection is told its number, from 0.
func rude(t *testing.T, talk func(c net.Conn, n int, request string)) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	conns.Go(func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			conns.Go(func() {
				defer func() {
					c.Close()
					mu.Lock()
					delete(open, c)
					mu.Unlock()
				}()
				request, err := readRequest(c)
				if err == nil {
					talk(c, n, request)
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		conns.Wait()
	})
	return "http://" + ln.Addr().String()
}

func readRequest(c net.Conn) (string, error) {
	var b []byte
	for one := make([]byte, 1); !bytes.HasSuffix(b, []byte("\r\n\r\n")); b = append(b, one[0]) {
		if _, err := c.Read(one); err != nil {
			return "", err
		}
	}
	return string(b), nil
}

// hang waits until the client goes away.
func hang(c net.Conn) { io.Copy(io.Discard, c) }

const mixed = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"

// part is one picture as it should be sent.
func part(jpeg []byte) string {
	return fmt.Sprintf("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(jpeg), jpeg)
}

// good streams pictures for ever.
func good(c net.Conn) {
	io.WriteString(c, mixed)
	for n := 0; ; n++ {
		if _, err := io.WriteString(c, part(photo(n%30))); err != nil {
			return
		}
	}
}

func single(jpeg []byte, headers ...string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n%s\r\n%s", len(jpeg), strings.Join(append(headers, ""), "\r\n"), jpeg)
}

func status(code int, headers ...string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\n%s\r\n", code, http.StatusText(code), strings.Join(append(headers, ""), "\r\n"))
}
