package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	load := func(requests int) (took []time.Duration) {
		var all sync.WaitGroup
		each := make([][]time.Duration, clients)
		for k := range clients {
			all.Go(func() { each[k] = loadClient(t, l.socket, k, requests, want) })
		}
		all.Wait()
		return slices.Sorted(slices.Values(slices.Concat(each...)))
	}
	before := residentOf(t, c)
	load(8) // what answers to several at a time need is made once and kept
	base := residentOf(t, c)
	begin := time.Now()
	d := load(requests)
	after := residentOf(t, c)
	t.Logf("%d clients, %d requests each in %v, %d of all questions: answered after %s; resident %d kB when one asked, %d kB when all had, %d kB after",
		clients, requests, time.Since(begin).Round(time.Millisecond), len(d), spread(d), before/1000, base/1000, after/1000)
	if after > base+5e6 {
		t.Errorf("memory grew by %d bytes", after-base)
	}
}

// loadClient is client k of a load. It returns how long each of its questions took.
func loadClient(t *testing.T, socket string, k, requests int, want map[string]string) (took []time.Duration) {
	c, err := client.Dial(t.Context(), socket, &client.Options{Name: fmt.Sprint("load ", k)})
	if err != nil {
		t.Error(err)
		return nil
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
			q := loadQuestions[(i+k)%len(loadQuestions)]
			at := time.Now()
			text, a := loadAsk(t, c, q)
			took = append(took, time.Since(at))
			if text != want[q] || a.Text != text {
				t.Errorf("%s: %q and %+v, want %q", q, text, a, want[q])
			}
		}
	}
	return took
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

	s, err = c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	untilCaptions(t, c, s.Log.Next, 1)
	t.Logf("resident: %d kB, with 1,000 bad clients %d kB, after them %d kB", before/1000, flooded/1000, residentOf(t, c)/1000)
	if flooded > before+16<<20 {
		t.Errorf("memory grew by %d bytes", flooded-before)
	}
}

// hostileBytes are no conversations, and would be costly to believe.
func hostileBytes(t *testing.T) map[string][]byte {
	t.Helper()
	frame := func(payload string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	}
	hello, err := wire.Append(nil, 1, &wire.Hello{Protocol: wire.Protocol})
	if err != nil {
		t.Fatal(err)
	}
	const ask = "\x83\xa4type\xa3ask\xa2id\x02\xa1x"
	return map[string][]byte{
		"an array of 4 billion":         frame("\xdd\xff\xff\xff\xff"),
		"a map of 4 billion":            frame("\xdf\xff\xff\xff\xff"),
		"2 GB of bytes":                 frame("\xc6\x7f\xff\xff\xff"),
		"4 GB of text in a question":    append(bytes.Clone(hello), frame(ask+"\xdb\xff\xff\xff\xff")...),
		"a mebibyte of nested arrays":   frame(strings.Repeat("\x91", 1<<20)),
		"4 MB of nested arrays":         frame(strings.Repeat("\x91", 4<<20)),
		"the most that may be nested":   frame(ask + strings.Repeat("\x91", wire.MaxRequest-len(ask))),
		"the most that may be a string": frame(ask + "\xda\xff\x00" + strings.Repeat("x", 0xfeff) + "\xff\xc0"),
		"the longest length":            []byte("\xff\xff\xff\xff"),
		"HTTP":                          []byte("GET / HTTP/1.1\r\n\r\n"),
	}
}

// TestHostileBytes: bytes that are no conversation are refused at once, for little time of
// the processor and next to no memory. The scene pauses, so that it is known whose the time
// and the memory are; and how long a client waits is compared with a server that does
// nothing but answer, since on a busy machine that takes its time too.
func TestHostileBytes(t *testing.T) {
	needProcess(t)
	l, c := startLoaded(t)
	defer l.stop(t)
	if err := c.Admin(t.Context(), &wire.Admin{Action: wire.ActionPause}); err != nil {
		t.Fatal(err)
	}
	const rounds = 50
	// A heap has room for some garbage, which ordinary clients fill too.
	for range 10 * rounds {
		c, err := client.Dial(t.Context(), l.socket, nil)
		if err != nil {
			t.Fatal(err)
		}
		residentOf(t, c)
		c.Close()
	}
	kinds := hostileBytes(t)
	names := slices.Sorted(maps.Keys(kinds))
	waits := map[string][]time.Duration{}
	cpu := map[string]time.Duration{}
	grew := int64(0)
	for range 3 { // what grows by accident does so once
		before := residentOf(t, c)
		for _, name := range names {
			begin := cpuOf(t, l.Process.Pid)
			for range rounds {
				took, err := refused(t.Context(), l.socket, kinds[name])
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				waits[name] = append(waits[name], took)
			}
			cpu[name] += (cpuOf(t, l.Process.Pid) - begin) / rounds
		}
		if grew = residentOf(t, c) - before; grew < 1<<20 {
			break
		}
	}
	echo := echoes(t, len(waits[names[0]]))
	t.Logf("a server that only echoes: %v", echo)
	for _, name := range names {
		passes := len(waits[name]) / rounds
		each := cpu[name] / time.Duration(passes)
		t.Logf("%s: %v of the processor; refused after %v", name, each.Round(10*time.Microsecond), spread(waits[name]))
		if each > time.Millisecond {
			t.Errorf("%s: refused for %v of the processor, want less than 1ms", name, each)
		}
	}
	t.Logf("%d refused; resident memory %+d kB", len(names)*rounds, grew/1000)
	if grew >= 1<<20 {
		t.Errorf("memory grew by %d bytes", grew)
	}
}

// spread is the median, the 90th and the 99th percentile, and the last of some times.
func spread(d []time.Duration) string {
	d = slices.Sorted(slices.Values(d))
	at := func(percent int) time.Duration { return d[(len(d)-1)*percent/100].Round(time.Microsecond) }
	return fmt.Sprintf("%v (median), %v (p90), %v (p99), %v (last)", at(50), at(90), at(99), at(100))
}

// echoes is how long n clients wait, one after another, for a server that sends back what
// it got and closes.
func echoes(t *testing.T, n int) string {
	t.Helper()
	path := testSocket(t)
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	defer server.Wait()
	defer ln.Close()
	server.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			var b [64]byte
			n, _ := nc.Read(b[:])
			nc.Write(b[:n])
			nc.Close()
		}
	})
	var d []time.Duration
	for range n {
		begin := time.Now()
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		nc.Write([]byte("is anybody there?"))
		io.Copy(io.Discard, nc)
		nc.Close()
		d = append(d, time.Since(begin))
	}
	return spread(d)
}

// cpuOf is the time that a process has had of the processor, in steps of 10 ms.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// What follows the name, which may hold anything, begins with the third field.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	var ticks time.Duration
	for _, field := range f[11:13] { // in user mode, in the kernel
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
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
