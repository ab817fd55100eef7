package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

// loaded is edged in a process of its own, with one simulated scene.
type loaded struct {
	*process
	socket string
}

// startLoaded waits until there was a caption, so that everything is in place.
func startLoaded(t *testing.T) (*loaded, *client.Client) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "c.yaml")
	text := "scenes: [{name: room, interval: 20ms, views: [{name: front, source: 'sim:1/front'}, {name: side, source: 'sim:1/side'}]}]\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &loaded{socket: testSocket(t)}
	l.process = newProcess(t, "run", "-config", conf, "-state", filepath.Join(dir, "state"), "-socket", l.socket)
	l.start(t)
	for {
		c, err := client.Dial(t.Context(), l.socket, nil)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			untilCaptions(t, c, 1, 1)
			return l, c
		}
		if l.ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (l *loaded) stop(t *testing.T) {
	t.Helper()
	l.Process.Signal(syscall.SIGTERM)
	if err := l.wait(); err != nil {
		t.Errorf("its end: %v", err)
	}
}

// residentOf is the memory that the daemon says it occupies.
func residentOf(t *testing.T, c *client.Client) int64 {
	t.Helper()
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.RSSBytes
}

var loadQuestions = []string{
	"what left the room?", "how many objects are there?", "what moved?", "what color is the box?", "what entered the room?", "is there a ball?",
}

// TestLoad: sixteen clients send requests of all kinds at the same time, questions above
// all. Each gets its own answer. make soak has 1,000 requests for each client.
func TestLoad(t *testing.T) {
	needProcess(t)
	const clients = 16
	requests := 12
	if os.Getenv("EDGED_SOAK") != "" {
		requests = 1000
	}
	l, c := startLoaded(t)
	defer l.stop(t)
	// The memory stands still, so that it is known what is to be answered.
	if err := c.Admin(t.Context(), &wire.Admin{Action: wire.ActionPause}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for frame := int64(-1); ; {
		settled := true
		for _, q := range loadQuestions {
			text, a := loadAsk(t, c, q)
			settled = settled && a.Frame == frame
			frame, want[q] = a.Frame, text
		}
		if settled {
			break
		}
	}
	if s, err := c.Snapshots(t.Context(), ""); err != nil || s.Scene != "room" || len(s.Snapshots) == 0 || s.Snapshots[len(s.Snapshots)-1].Frame == 0 {
		t.Errorf("snapshots: %+v, %v", s, err)
	}
	before := residentOf(t, c)
	var all sync.WaitGroup
	took := make([][]time.Duration, clients)
	begin := time.Now()
	for k := range clients {
		all.Go(func() {
			c, err := client.Dial(t.Context(), l.socket, &client.Options{Name: fmt.Sprint("load ", k)})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := range requests {
				switch (i + k) % 8 {
				case 0:
					if s, err := c.Status(t.Context()); err != nil || len(s.Scenes) != 1 {
						t.Errorf("status: %+v, %v", s, err)
					}
				case 1:
					n := uint64(0)
					for e, err := range c.Search(t.Context(), &wire.Search{To: 2}) {
						if n++; err != nil || e.Seq != n {
							t.Errorf("search: %+v, %v, want %d", e, err, n)
						}
					}
				default:
					q := loadQuestions[(i*clients+k)%len(loadQuestions)]
					at := time.Now()
					text, a := loadAsk(t, c, q)
					took[k] = append(took[k], time.Since(at))
					if text != want[q] || a.Text != text {
						t.Errorf("%s: %q and %+v, want %q", q, text, a, want[q])
					}
				}
			}
		})
	}
	all.Wait()
	d := slices.Sorted(slices.Values(slices.Concat(took...)))
	t.Logf("%d clients, %d requests each in %v, %d of all questions: answered after %v (median), %v (p99), %v (last); resident %d kB before, %d kB after",
		clients, requests, time.Since(begin).Round(time.Millisecond), len(d),
		d[len(d)/2].Round(time.Millisecond), d[len(d)*99/100].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond),
		before/1000, residentOf(t, c)/1000)
}

// loadAsk returns the joined pieces, stripped, and the answer.
func loadAsk(t *testing.T, c *client.Client, question string) (string, *wire.Answer) {
	t.Helper()
	var text strings.Builder
	a := new(wire.Answer)
	for part, err := range c.Ask(t.Context(), &wire.Ask{Question: question}) {
		if err != nil {
			t.Errorf("%s: %v", question, err)
			break
		}
		text.WriteString(part.Text)
		if part.Answer != nil {
			a = part.Answer
		}
	}
	return strings.TrimSpace(text.String()), a
}

// TestBadClients: a thousand clients that connect and say nothing, stop in the middle of a
// frame, or watch and do not read, and bytes that are no frames: captions go on, and
// whoever was there before is served.
func TestBadClients(t *testing.T) {
	needProcess(t)
	l, c := startLoaded(t)
	defer l.stop(t)
	hello, err := wire.Append(nil, 1, &wire.Hello{Protocol: wire.Protocol})
	if err != nil {
		t.Fatal(err)
	}
	watch, err := wire.Append(hello, 2, &wire.Watch{From: 1})
	if err != nil {
		t.Fatal(err)
	}
	before := residentOf(t, c)
	var held []net.Conn
	for i := range 1000 {
		nc, err := (&net.Dialer{}).DialContext(t.Context(), "unix", l.socket)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, nc)
		// What is refused at once is no error here.
		nc.Write([][]byte{nil, hello[:7], watch}[i%3])
		if i%10 == 9 {
			nc.(*net.UnixConn).CloseWrite()
		}
	}
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seqs := untilCaptions(t, c, s.Log.Next, 3)
	for i, seq := range seqs {
		if seq != seqs[0]+uint64(i) {
			t.Errorf("events %v", seqs)
		}
	}
	flooded := residentOf(t, c)
	for _, nc := range held {
		nc.Close()
	}

	frame := func(payload string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	}
	var waits []time.Duration
	for range 20 {
		for _, hostile := range [][]byte{
			frame("\xdd\xff\xff\xff\xff"), frame("\xdf\xff\xff\xff\xff"), frame("\xc6\x7f\xff\xff\xff"), frame(strings.Repeat("\x91", 1<<20)),
			frame("\x83\xa4type\xa5hello\xa2id\x01\xa1x" + strings.Repeat("\x81\xa0", 1<<18)), []byte("\xff\xff\xff\xff"), []byte("GET / HTTP/1.1\r\n\r\n"),
			append(bytes.Clone(hello), frame("\x83\xa4type\xa3ask\xa2id\x02\xa1x\xdb\xff\xff\xff\xff")...),
		} {
			took, err := refused(t.Context(), l.socket, hostile)
			if err != nil {
				t.Errorf("%.20q: %v", hostile, err)
			}
			waits = append(waits, took)
		}
	}
	after := residentOf(t, c)
	slices.Sort(waits)
	t.Logf("resident: %d kB, with 1,000 bad clients %d kB, after %d hostile ones %d kB; refused after %v (median), %v (p90), %v (last)",
		before/1000, flooded/1000, len(waits), after/1000, waits[len(waits)/2], waits[len(waits)*9/10], waits[len(waits)-1])
	if after > before+16<<20 {
		t.Errorf("memory grew by %d bytes", after-before)
	}
}

// refused sends hostile bytes and returns how long after the last of them the answer,
// that it is no frame, was there and the connection over.
func refused(ctx context.Context, socket string, hostile []byte) (took time.Duration, err error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	begin := time.Now()
	// The server may close before it has read all.
	nc.Write(hostile)
	said, _ := io.ReadAll(nc)
	took = time.Since(begin)
	if bytes.Contains(said, []byte("already")) { // a place of the clients before is not free yet
		time.Sleep(10 * time.Millisecond)
		return refused(ctx, socket, hostile)
	}
	if !bytes.Contains(said, []byte(wire.CodeProtocol)) {
		return took, fmt.Errorf("the server said %q", said)
	}
	return took, nil
}
