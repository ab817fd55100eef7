package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// house is a handler whose questions say what to do.
type house struct {
	events chan *Event // passed to the one watcher
	posted chan struct{}
}

func (h *house) Welcome(_ context.Context, hello *Hello) (*Welcome, error) {
	if hello.Client == "stranger" {
		return nil, Errorf(CodeRequest, "not for strangers")
	}
	return &Welcome{Server: "house", Version: "1", Model: "m", Scenes: []string{"yard"}}, nil
}

func (h *house) Status(context.Context) (*Status, error) {
	return &Status{Model: "m"}, nil
}

func (h *house) Scenes(context.Context) (*Scenes, error) {
	return nil, errors.New("the roof leaks")
}

func (h *house) Watch(ctx context.Context, w *Watch, emit func(*Event) error) error {
	if w.Scene == "nowhere" {
		return Errorf(CodeScene, "no scene %q", w.Scene)
	}
	if w.From > 0 {
		return emit(&Event{Seq: w.From})
	}
	for {
		select {
		case e := <-h.events:
			if e == nil {
				return nil
			}
			if err := emit(e); err != nil {
				return err
			}
			h.posted <- struct{}{}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Search finds as many events as it may, from the first to the last.
func (h *house) Search(_ context.Context, s *Search, match *regexp.Regexp, emit func(*Event) error) (uint64, error) {
	if s.Scene == "nowhere" {
		return 0, Errorf(CodeScene, "no scene %q", s.Scene)
	}
	for n := range uint64(s.Limit) {
		if s.From+n > s.To {
			return 0, nil
		}
		if match == nil || match.MatchString("caption") {
			if err := emit(&Event{Seq: s.From + n, Text: "caption"}); err != nil {
				return 0, err
			}
		}
	}
	return s.From + uint64(s.Limit), nil
}

func (h *house) Snapshots(_ context.Context, g *GetSnapshots) (*Snapshots, error) {
	return &Snapshots{Scene: g.Scene, Snapshots: []SnapshotInfo{{Number: 1}}}, nil
}

func (h *house) Admin(_ context.Context, a *Admin) error {
	if a.Action != ActionPause {
		return Errorf(CodeMissing, "no %s here", a.Action)
	}
	return nil
}

func (h *house) Ask(ctx context.Context, a *Ask, piece func(string) error) (*Answer, error) {
	switch a.Question {
	case "wait":
		if err := piece("..."); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, fmt.Errorf("ask: %w", ctx.Err())
	case "badly":
		return &Answer{Text: "\xff"}, nil
	case "nothing":
		return nil, nil
	case "long":
		for i := range 5000 {
			if err := piece(fmt.Sprintf("word %d ", i)); err != nil {
				return nil, err
			}
		}
		return &Answer{Text: "long"}, nil
	}
	for _, word := range strings.Fields(a.Question) {
		if err := piece(word); err != nil {
			return nil, err
		}
	}
	return &Answer{Text: a.Question, Scene: a.Scene}, nil
}

// open serves a house over an in-memory listener until the test ends.
func open(t *testing.T, o *ServeOptions) (*house, *Memory) {
	t.Helper()
	h := &house{events: make(chan *Event), posted: make(chan struct{})}
	ln := NewMemory()
	serveUntilEnd(t, ln, h, o)
	return h, ln
}

func serveUntilEnd(t *testing.T, ln net.Listener, h Handler, o *ServeOptions) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- Serve(ctx, ln, h, o) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// client is one that sends what the test wants.
type client struct {
	t    *testing.T
	nc   net.Conn
	conn *Conn
}

// visit connects without a greeting.
func visit(t *testing.T, ln *Memory) *client {
	t.Helper()
	nc, err := ln.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	p := &client{t, nc, NewConn(nc, nil)}
	t.Cleanup(func() { p.conn.Close() })
	return p
}

// dialPath connects to a socket.
func dialPath(t *testing.T, path string) *client {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	p := &client{t, nc, NewConn(nc, nil)}
	t.Cleanup(func() { p.conn.Close() })
	return p
}

// greet connects and greets.
func greet(t *testing.T, ln *Memory) *client {
	t.Helper()
	p := visit(t, ln)
	p.send(1, &Hello{Protocol: Protocol})
	p.want(1, &Welcome{Protocol: 1, Server: "house", Version: "1", Model: "m", Scenes: []string{"yard"}, Role: "admin"})
	return p
}

func (p *client) send(id uint64, m Message) {
	p.t.Helper()
	if err := p.conn.Send(context.Background(), id, m); err != nil {
		p.t.Fatal(err)
	}
}

func (p *client) read() (uint64, Message) {
	p.t.Helper()
	payload, err := p.conn.Read(time.Minute)
	if err != nil {
		p.t.Fatal(err)
	}
	h, m, err := ParseReply(payload)
	if err != nil {
		p.t.Fatal(err)
	}
	return h.ID, m
}

// want reads one message and compares it.
func (p *client) want(id uint64, want Message) {
	p.t.Helper()
	gotID, got := p.read()
	a, _ := Append(nil, gotID, got)
	b, err := Append(nil, id, want)
	if err != nil || string(a) != string(b) {
		p.t.Fatalf("got %d %s %+v, want %d %s %+v", gotID, got.Kind(), got, id, want.Kind(), want)
	}
}

// wantError reads an error and compares its code and a part of its text.
func (p *client) wantError(id uint64, code, text string) {
	p.t.Helper()
	gotID, got := p.read()
	e, ok := got.(*Error)
	if !ok || gotID != id || e.Code != code || !strings.Contains(e.Message, text) {
		p.t.Fatalf("got %d %s %+v, want %d %s %q", gotID, got.Kind(), got, id, code, text)
	}
}

// wantEnd checks that the server closes.
func (p *client) wantEnd() {
	p.t.Helper()
	if payload, err := p.conn.Read(time.Minute); !errors.Is(err, io.EOF) {
		p.t.Fatalf("%q, %v", payload, err)
	}
}

func TestServe(t *testing.T) {
	h, ln := open(t, nil)
	p := greet(t, ln)
	p.send(2, new(GetStatus))
	p.want(2, &Status{Model: "m"})
	p.send(3, new(GetScenes))
	p.wantError(3, CodeInternal, "the roof leaks")
	p.send(4, &Ask{Question: "red box", Scene: "yard"})
	p.want(4, &Piece{Text: "red"})
	p.want(4, &Piece{Text: "box"})
	p.want(4, &Answer{Text: "red box", Scene: "yard"})
	p.send(4, &Ask{Question: " \n"}) // the id is free again
	p.wantError(4, CodeRequest, "the question is empty")
	p.send(5, &Ask{Question: strings.Repeat("x", 4097)})
	p.wantError(5, CodeRequest, "4097 bytes, more than 4096")
	p.send(6, &Ask{Question: "badly"})
	p.wantError(6, CodeInternal, "not UTF-8")
	p.send(7, &Ask{Question: "nothing"})
	p.wantError(7, CodeInternal, "not a struct")
	p.send(8, &Hello{Protocol: 1})
	p.wantError(8, CodeRequest, "hello is not possible now")
	p.send(9, new(Piece)) // a reply is no request
	p.wantError(9, CodeUnknown, `"piece"`)
	p.send(10, &Watch{Scene: "nowhere"})
	p.wantError(10, CodeScene, "nowhere")

	// Two requests in flight, canceled in the other order.
	p.send(11, &Ask{Question: "wait"})
	p.want(11, &Piece{Text: "..."})
	p.send(12, new(Watch))
	h.events <- &Event{Seq: 1, Text: "one"}
	<-h.posted
	p.want(12, &Event{Seq: 1, Text: "one"})
	p.send(13, new(Cancel)) // of nothing
	p.send(12, new(Cancel))
	p.want(12, new(End))
	p.send(11, new(Cancel))
	p.wantError(11, CodeCanceled, "canceled")

	// A watch that the handler ends.
	p.send(12, new(Watch))
	h.events <- nil
	p.want(12, new(End))
	p.send(12, &Watch{From: 7})
	p.want(12, &Event{Seq: 7})
	p.want(12, new(End))

	p.send(13, &Search{From: 5, To: 6, Match: "cap"})
	p.want(13, &Event{Seq: 5, Text: "caption"})
	p.want(13, &Event{Seq: 6, Text: "caption"})
	p.want(13, new(End))
	p.send(13, &Search{From: 5, To: 9, Limit: 1})
	p.want(13, &Event{Seq: 5, Text: "caption"})
	p.want(13, &End{Next: 6})
	p.send(13, &Search{From: 1, To: 9e9, Limit: 9e9, Match: "dog"})
	p.want(13, &End{Next: MaxFound + 1})
	p.send(13, &Search{Match: "(cap"})
	p.wantError(13, CodeRequest, "missing closing )")
	p.send(13, &Search{Match: strings.Repeat("x", 1025)})
	p.wantError(13, CodeRequest, "1025 bytes, more than 1024")
	p.send(13, &Search{Scene: "nowhere"})
	p.wantError(13, CodeScene, "nowhere")

	p.send(14, &GetSnapshots{Scene: "yard"})
	p.want(14, &Snapshots{Scene: "yard", Snapshots: []SnapshotInfo{{Number: 1}}})
	p.send(15, &Admin{Action: ActionPause})
	p.want(15, new(Done))
	p.send(15, &Admin{Action: "dance"})
	p.wantError(15, CodeMissing, "no dance here")
}

// TestServeDeadline: a question's own, and those of others stay as they are.
func TestServeDeadline(t *testing.T) { synctest.Test(t, testServeDeadline) }

func testServeDeadline(t *testing.T) {
	_, ln := open(t, nil)
	p := greet(t, ln)
	start := time.Now()
	p.send(2, &Ask{Question: "wait", Deadline: 1500})
	p.want(2, &Piece{Text: "..."})
	p.wantError(2, CodeDeadline, "within 1.5s")
	if d := time.Since(start); d != 1500*time.Millisecond {
		t.Errorf("after %v", d)
	}
	p.send(2, &Ask{Question: "red box", Deadline: 1500})
	p.want(2, &Piece{Text: "red"})
	p.want(2, &Piece{Text: "box"})
	p.want(2, &Answer{Text: "red box"})
	p.send(2, &Ask{Question: "wait", Deadline: 1500})
	p.want(2, &Piece{Text: "..."})
	p.send(2, new(Cancel))
	p.wantError(2, CodeCanceled, "canceled")
}

func TestServeProtocolErrors(t *testing.T) { synctest.Test(t, testServeProtocolErrors) }

func testServeProtocolErrors(t *testing.T) {
	var logged sync.WaitGroup
	_, ln := open(t, &ServeOptions{ReadTimeout: 50 * time.Millisecond, Log: func(error) { logged.Done() }})
	frame := func(m Message, id uint64) string {
		b, err := Append(nil, id, m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	hello := frame(&Hello{Protocol: 1}, 1)
	bad := "\x00\x00\x00\x11\x83\xa4type\xa3ask\xa2id\x05\xa1x\xc1"
	for _, c := range []struct {
		bytes   string
		greeted bool
		text    string
	}{
		{"", false, "no hello within 50ms"},
		{"\x00\x00", false, "not completed in time"},
		{"GET / HTTP/1.1\r\n\r\n", false, "length 1195725856"},
		{"\x00\x01\x00\x01", false, "length 65537 is not in 1..65536"},
		{"\x00\x00\x00\x01\x80", false, "no type"},
		{frame(new(GetStatus), 1), false, "get_status before hello"},
		{frame(&Hello{Protocol: 2}, 1), false, "speaks protocol 1, not 2"},
		{frame(&Hello{Protocol: 1}, 0), false, "request id 0"},
		{frame(new(End), 1), false, `unknown type: "end"`},
		{hello + "\x00\x00\x00\x00", true, "length 0"},
		{hello + bad, true, "code 0xc1"},
		{hello + frame(new(GetStatus), 0), true, "request id 0"},
		{hello + frame(&Ask{Question: "wait"}, 2) + frame(new(GetStatus), 2), true, "request id 2 is in use"},
	} {
		logged.Add(1)
		p := visit(t, ln)
		go io.WriteString(p.nc, c.bytes)
		if c.greeted {
			if id, m := p.read(); id != 1 || m.Kind() != "welcome" {
				t.Fatalf("%q: %d %s", c.bytes, id, m.Kind())
			}
		}
		for {
			id, m := p.read()
			if id != 0 { // the other request's end
				continue
			}
			if e, ok := m.(*Error); !ok || e.Code != CodeProtocol || !strings.Contains(e.Message, c.text) {
				t.Errorf("%q: %+v, want %q", c.bytes, m, c.text)
			}
			break
		}
		p.conn.Close()
	}
	logged.Wait()

	logged.Add(1)
	p := visit(t, ln)
	p.send(1, &Hello{Protocol: 1, Client: "stranger"})
	p.wantError(0, CodeRequest, "not for strangers")
	p.wantEnd()
	logged.Wait()
}

func TestServeLimits(t *testing.T) { synctest.Test(t, testServeLimits) }

func testServeLimits(t *testing.T) {
	_, ln := open(t, &ServeOptions{MaxClients: 2, MaxRequests: 2, IdleTimeout: 60 * time.Millisecond})
	a, b := greet(t, ln), greet(t, ln)
	c := visit(t, ln)
	c.wantError(0, CodeBusy, "2 clients")
	c.wantEnd()

	for id := uint64(2); id < 4; id++ {
		a.send(id, &Ask{Question: "wait"})
		a.want(id, &Piece{Text: "..."})
	}
	a.send(4, new(GetStatus))
	a.wantError(4, CodeBusy, "2 requests")
	a.send(2, new(Cancel))
	a.wantError(2, CodeCanceled, "")
	a.send(4, new(GetStatus))
	a.want(4, &Status{Model: "m"})

	// b asks for nothing, a has a request in flight.
	b.wantError(0, CodeClosing, "nothing asked for 60ms")
	b.wantEnd()
	time.Sleep(100 * time.Millisecond)
	a.send(3, new(Cancel))
	a.wantError(3, CodeCanceled, "")
	a.wantError(0, CodeClosing, "nothing asked")
	greet(t, ln) // there is room again
}

// TestServeSlowReader: events wait for a client that reads slowly and none is lost,
// the pieces of answers are joined, and others do not notice.
func TestServeSlowReader(t *testing.T) { synctest.Test(t, testServeSlowReader) }

func testServeSlowReader(t *testing.T) {
	h, ln := open(t, &ServeOptions{QueueBytes: 2000})
	p := greet(t, ln)
	p.send(2, new(Watch))
	const n = 500
	go func() {
		for i := range n {
			h.events <- &Event{Seq: uint64(i + 1), Text: "something happened in the yard"}
			<-h.posted
		}
	}()
	synctest.Wait() // until there is no more room
	other := greet(t, ln)
	other.send(2, new(GetStatus))
	other.want(2, &Status{Model: "m"})
	for i := range n {
		p.want(2, &Event{Seq: uint64(i + 1), Text: "something happened in the yard"})
	}
	p.send(2, new(Cancel))
	p.want(2, new(End))

	// A watch that waits for room ends when it is canceled.
	p.send(3, &Search{From: 1, To: n})
	p.send(3, new(Cancel))
	synctest.Wait()
	for {
		if _, m := p.read(); m.Kind() != "event" {
			if e, ok := m.(*Error); !ok || e.Code != CodeCanceled {
				t.Errorf("%+v", m)
			}
			break
		}
	}

	p.send(4, &Ask{Question: "long"})
	synctest.Wait()
	var text strings.Builder
	pieces := 0
	for {
		_, m := p.read()
		if a, ok := m.(*Answer); ok {
			if a.Text != "long" {
				t.Errorf("%+v", a)
			}
			break
		}
		text.WriteString(m.(*Piece).Text)
		pieces++
	}
	var want strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&want, "word %d ", i)
	}
	if text.String() != want.String() || pieces >= 5000 {
		t.Errorf("%d bytes in %d pieces", text.Len(), pieces)
	}
}

// TestServeCutsOff: a client that takes nothing is disconnected, and others do not
// notice.
func TestServeCutsOff(t *testing.T) { synctest.Test(t, testServeCutsOff) }

func testServeCutsOff(t *testing.T) {
	logged := make(chan error, 1)
	_, ln := open(t, &ServeOptions{WriteTimeout: 30 * time.Millisecond, MaxRequests: 2, Log: func(err error) { logged <- err }})
	p := greet(t, ln)
	for id := uint64(2); ; id++ { // requests without end
		if p.conn.Send(context.Background(), id, &Ask{Question: "long"}) != nil {
			break
		}
		select {
		case err := <-logged:
			if err == nil {
				t.Error("no reason")
			}
			q := greet(t, ln)
			q.send(2, new(GetStatus))
			q.want(2, &Status{Model: "m"})
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func TestServeStop(t *testing.T) { synctest.Test(t, testServeStop) }

func testServeStop(t *testing.T) {
	h := &house{}
	ln := NewMemory()
	stop := serveUntilEnd(t, ln, h, nil)
	p, idle := greet(t, ln), greet(t, ln)
	p.send(2, new(Watch))
	p.send(3, &Ask{Question: "wait"})
	p.want(3, &Piece{Text: "..."})
	silent := visit(t, ln)
	synctest.Wait() // until it is being served
	go stop()
	seen := map[uint64]bool{}
	for range 3 {
		id, m := p.read()
		if e, ok := m.(*Error); !ok || e.Code != CodeClosing {
			t.Errorf("%d: %+v", id, m)
		}
		seen[id] = true
	}
	if !seen[0] || !seen[2] || !seen[3] {
		t.Errorf("ends of %v", seen)
	}
	p.wantEnd()
	idle.wantError(0, CodeClosing, "stops")
	idle.wantEnd()
	silent.wantError(0, CodeClosing, "stops")
	stop()
	if _, err := ln.Dial(context.Background()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial: %v", err)
	}
}

// TestServeStopStuck: clients that do not read cannot hold up the end.
func TestServeStopStuck(t *testing.T) { synctest.Test(t, testServeStopStuck) }

func testServeStopStuck(t *testing.T) {
	h := &house{}
	ln := NewMemory()
	stop := serveUntilEnd(t, ln, h, &ServeOptions{StopTimeout: 30 * time.Millisecond, QueueBytes: 100})
	for range 3 {
		p := greet(t, ln)
		p.send(2, &Ask{Question: "long"})
		p.send(3, &Ask{Question: "wait"})
	}
	synctest.Wait()
	start := time.Now()
	stop()
	if d := time.Since(start); d != 30*time.Millisecond {
		t.Errorf("took %v", d)
	}
}

// TestServeListenerFails: Serve says why.
func TestServeListenerFails(t *testing.T) {
	ln := NewMemory()
	ln.Close()
	if err := Serve(context.Background(), ln, &house{}, nil); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// brokenListener fails a few times, as when descriptors run out.
type brokenListener struct {
	*Memory
	fails int
}

func (b *brokenListener) Accept() (net.Conn, error) {
	if b.fails--; b.fails >= 0 {
		return nil, errors.New("too many open files")
	}
	return b.Memory.Accept()
}

func TestServeAcceptRecovers(t *testing.T) { synctest.Test(t, testServeAcceptRecovers) }

func testServeAcceptRecovers(t *testing.T) {
	ln := &brokenListener{NewMemory(), 3}
	serveUntilEnd(t, ln, &house{}, &ServeOptions{Log: func(err error) {
		if !strings.Contains(err.Error(), "accept: too many open files") {
			t.Error(err)
		}
	}})
	greet(t, ln.Memory)
}
