package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/hostile"
)

// pair returns a Conn and the other end.
func pair(t *testing.T, o *ConnOptions) (*Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	c := NewConn(near, o)
	t.Cleanup(func() { c.Close(); far.Close() })
	return c, far
}

func TestConnRead(t *testing.T) { synctest.Test(t, testConnRead) }

func testConnRead(t *testing.T) {
	c, far := pair(t, &ConnOptions{ReadTimeout: 500 * time.Millisecond})
	if _, err := c.Read(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("idle: %v", err)
	}
	want := bytes.Repeat([]byte("x"), 300000)
	go func() {
		far.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(want))), want...))
		far.Write([]byte{0, 0, 0, 1, 'y', 0, 0, 0, 9, 'z'})
	}()
	for _, want := range []string{string(want), "y"} {
		if got, err := c.Read(20 * time.Second); err != nil || string(got) != want {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	// The rest of the last frame does not come, however long one may wait for a frame.
	if _, err := c.Read(0); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "not completed in time") {
		t.Fatalf("slow frame: %v", err)
	}
}

func TestConnReadEnds(t *testing.T) { synctest.Test(t, testConnReadEnds) }

func testConnReadEnds(t *testing.T) {
	for _, c := range []struct {
		bytes string
		want  error
	}{
		{"", io.EOF},
		{"\x00\x00", io.ErrUnexpectedEOF},
		{"\x00\x00\x00\x02", io.ErrUnexpectedEOF},
		{"\x00\x00\x00\x02a", io.ErrUnexpectedEOF},
		{"\x00\x00\x00\x00", ErrFormat},
		{"\x00\x10\x00\x01", ErrFormat},
		{"\xff\xff\xff\xff", ErrFormat},
	} {
		conn, far := pair(t, nil)
		go func() { io.WriteString(far, c.bytes); far.Close() }()
		if _, err := conn.Read(time.Second); !errors.Is(err, c.want) {
			t.Errorf("%q: %v", c.bytes, err)
		}
	}
}

// TestConnReadAllocation: a length alone allocates little.
func TestConnReadAllocation(t *testing.T) {
	grew := hostile.Allocated(64<<10, func() {
		c, far := pair(t, nil)
		go func() { far.Write([]byte{0, 0x10, 0, 0, 1, 2, 3}); far.Close() }()
		if _, err := c.Read(time.Minute); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
	if grew > 64<<10 {
		t.Errorf("%d bytes allocated", grew)
	}
}

// TestConnReadAgain: payloads of every size, through buffers that are used again.
func TestConnReadAgain(t *testing.T) {
	a, far := pair(t, nil)
	b, other := pair(t, nil)
	sizes := []int{1, smallBytes, smallBytes + 1, keepBytes, 2, keepBytes + 1, 3 * keepBytes, 10, keepBytes - 1}
	go func() {
		for i, n := range sizes {
			for k, w := range []net.Conn{far, other} {
				w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(n)), bytes.Repeat([]byte{byte(2*i + k)}, n)...))
			}
		}
	}()
	for i, n := range sizes {
		for k, c := range []*Conn{a, b} {
			got, err := c.Read(time.Minute)
			if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(2*i + k)}, n)) {
				t.Fatalf("payload %d of %d bytes: %d bytes of %.8x, %v", i, n, len(got), got, err)
			}
			if cap(c.in) > max(2*n, keepBytes) {
				t.Errorf("a buffer of %d for %d", cap(c.in), n)
			}
		}
	}
}

// TestConnLimits: what is longer than the peer may send, or may be sent to it, is refused
// for its length alone.
func TestConnLimits(t *testing.T) {
	c, far := pair(t, &ConnOptions{MaxRead: 10, MaxSend: 40})
	go far.Write([]byte{0, 0, 0, 2, 'a', 'b', 0, 0, 0, 11})
	if got, err := c.Read(time.Minute); err != nil || string(got) != "ab" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := c.Read(time.Minute); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "length 11 is not in 1..10") {
		t.Errorf("too long: %v", err)
	}
	if err := c.TrySend(1, &Ask{Question: strings.Repeat("x", 41)}); err == nil || !strings.Contains(err.Error(), "more than 40") {
		t.Errorf("sent: %v", err)
	}
	if err := c.TrySend(1, new(GetStatus)); err != nil {
		t.Errorf("small: %v", err)
	}
}

// stream is a connection that delivers bytes and then ends.
type stream struct {
	net.Conn
	*bytes.Reader
}

func (s stream) Read(p []byte) (int, error)    { return s.Reader.Read(p) }
func (stream) SetReadDeadline(time.Time) error { return nil }
func (stream) Close() error                    { return nil }

// TestConnReadMutations damages streams of frames, lengths included: reading and
// parsing them to the end costs at most 4 times the stream and 1 MiB.
func TestConnReadMutations(t *testing.T) {
	requests, replies := samples()
	var talk []byte
	for i, m := range append(requests, replies...) {
		var err error
		if talk, err = Append(talk, uint64(i+1), m); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	whole := 0
	for range 1000 {
		bad := hostile.Damage(rng, talk, bombs...)
		budget := hostile.Budget(len(bad))
		var err error
		grew := hostile.Allocated(budget, func() {
			c := NewConn(stream{Reader: bytes.NewReader(bad)}, nil)
			defer c.Close()
			for err = nil; err == nil; {
				var payload []byte
				if payload, err = c.Read(time.Minute); err == nil {
					ParseRequest(payload)
					ParseReply(payload)
				}
			}
		})
		if grew > budget {
			t.Fatalf("%d bytes allocated for %d: %.200q", grew, len(bad), bad)
		}
		switch {
		case err == io.EOF:
			whole++
		case !errors.Is(err, ErrFormat) && !errors.Is(err, io.ErrUnexpectedEOF):
			t.Fatalf("unclear error %v", err)
		}
	}
	t.Logf("%d of 1000 read to their end", whole)
}

// FuzzRead reads a stream as a server does: what is whole and allowed comes as it was sent,
// and the error is that of what follows.
func FuzzRead(f *testing.F) {
	requests, _ := samples()
	var talk []byte
	for i, m := range requests {
		var err error
		if talk, err = Append(talk, uint64(i+1), m); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(talk)
	f.Add(talk[:len(talk)-3])
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0, 0, 0, 1, 0x80, 0, 0, 0, 0})
	f.Add([]byte{0, 1, 0, 1, 0x80})
	f.Add(append([]byte{0, 0, 0x10, 1}, bytes.Repeat([]byte{0x91}, smallBytes+1)...))
	f.Fuzz(func(t *testing.T, rest []byte) {
		from := stream{Reader: bytes.NewReader(rest)}
		// Without a writer, so that what is covered does not depend on when that runs.
		c := &Conn{nc: from, br: bufio.NewReader(from), o: ConnOptions{MaxRead: MaxRequest}}
		defer c.recycle()
		for {
			payload, err := c.Read(time.Minute)
			n := int64(-1)
			if len(rest) >= headSize {
				n = int64(binary.BigEndian.Uint32(rest))
			}
			var want error
			switch {
			case len(rest) == 0:
				want = io.EOF
			case n < 0:
				want = io.ErrUnexpectedEOF
			case n == 0 || n > MaxRequest:
				want = ErrFormat
			case int64(len(rest)-headSize) < n:
				want = io.ErrUnexpectedEOF
			}
			if !errors.Is(err, want) {
				t.Fatalf("%v, want %v", err, want)
			}
			if err != nil {
				return
			}
			if !bytes.Equal(payload, rest[headSize:headSize+n]) {
				t.Fatalf("%d bytes, not the %d that were sent", len(payload), n)
			}
			rest = rest[headSize+n:]
		}
	})
}

func TestConnSend(t *testing.T) { synctest.Test(t, testConnSend) }

func testConnSend(t *testing.T) {
	c, far := pair(t, &ConnOptions{QueueBytes: 1000})
	piece := &Piece{Text: strings.Repeat("x", 200)}
	sent := 0
	for range 2 { // what is being written does not wait
		for c.TrySend(1, piece) == nil {
			sent++
		}
		synctest.Wait()
	}
	if err := c.TrySend(1, piece); err != ErrFull || sent < 4 || sent > 9 {
		t.Fatalf("%d sent, %v", sent, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if err := c.Send(ctx, 1, piece); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("send without room: %v", err)
	}
	if err := c.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("flush without a reader: %v", err)
	}
	if err := c.TrySend(1, &Piece{Text: "\xff"}); err == nil || errors.Is(err, ErrFull) {
		t.Fatalf("unsendable: %v", err)
	}

	read := make(chan int)
	go func() {
		r := NewConn(far, nil)
		defer r.Close()
		n := 0
		for {
			p, err := r.Read(0)
			if err != nil {
				read <- n
				return
			}
			if _, m, err := ParseReply(p); err != nil || len(m.(*Piece).Text) < 200 {
				t.Errorf("%v, %v", m, err)
			}
			n++
		}
	}()
	big := &Piece{Text: strings.Repeat("y", 100000)} // may wait alone
	for range 20 {
		if err := c.Send(context.Background(), 1, piece); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	if err := c.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := c.TrySend(1, big); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if n := <-read; n != sent+1 {
		t.Errorf("%d read, %d sent", n, sent+1)
	}
	if err := c.Send(context.Background(), 1, piece); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if err := c.Flush(context.Background()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("flush after close: %v", err)
	}
}

func TestConnWriteTimeout(t *testing.T) { synctest.Test(t, testConnWriteTimeout) }

func testConnWriteTimeout(t *testing.T) {
	c, _ := pair(t, &ConnOptions{WriteTimeout: 5 * time.Millisecond, QueueBytes: 10})
	if err := c.TrySend(1, &Piece{Text: "nobody reads this"}); err != nil {
		t.Fatal(err)
	}
	err := c.Flush(context.Background())
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "peer does not read") {
		t.Fatal(err)
	}
	if _, err := c.Read(0); err == nil {
		t.Error("reading goes on")
	}
	if again := c.TrySend(1, &Piece{}); again == nil || again.Error() != err.Error() {
		t.Errorf("%v after %v", again, err)
	}
}

// TestConnLastWords: what a peer said before it left is read, though a write fails first.
func TestConnLastWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	words, err := Append(nil, 0, Errorf(CodeBusy, "no place"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write(words); err != nil {
		t.Fatal(err)
	}
	far.Close()
	c := NewConn(near, nil)
	defer c.Close()
	if err := c.TrySend(1, new(GetStatus)); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(context.Background()); err == nil {
		t.Fatal("written to nobody")
	}
	payload, err := c.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, m, err := ParseReply(payload); err != nil || Code(m.(*Error)) != CodeBusy {
		t.Errorf("read %v, %v", m, err)
	}
	if _, err := c.Read(0); err == nil {
		t.Error("reading goes on")
	}
}

// left is a connection whose peer takes nothing more, and has not closed its end.
type left struct{ net.Conn }

func (left) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestConnNothingMore: who waits for a peer that takes nothing more, or begins to, waits for the time of a frame.
func TestConnNothingMore(t *testing.T) { synctest.Test(t, testConnNothingMore) }

func testConnNothingMore(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := NewConn(left{near}, &ConnOptions{ReadTimeout: 3 * time.Second})
	defer c.Close()
	reads := func() time.Duration {
		began := time.Now()
		if _, err := c.Read(0); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		return time.Since(began)
	}
	waited := make(chan time.Duration)
	go func() { waited <- reads() }()
	synctest.Wait()
	if err := c.TrySend(1, new(GetStatus)); err != nil {
		t.Fatal(err)
	}
	if got := <-waited; got != 3*time.Second {
		t.Errorf("it waited for %v", got)
	}
	if got := reads(); got != 3*time.Second {
		t.Errorf("later it waited for %v", got)
	}
}

// TestConnLetsGo: a buffer that was large once is not kept.
func TestConnLetsGo(t *testing.T) {
	c, far := pair(t, &ConnOptions{QueueBytes: 4 * keepBytes})
	go io.Copy(io.Discard, far)
	for _, n := range []int{2 * keepBytes, 1, 1} {
		if err := c.TrySend(1, &Piece{Text: strings.Repeat("x", n)}); err != nil {
			t.Fatal(err)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := max(cap(c.out), cap(c.spare)); n > keepBytes {
		t.Errorf("a buffer of %d bytes is kept", n)
	}
}

func TestConnInterrupt(t *testing.T) { synctest.Test(t, testConnInterrupt) }

func testConnInterrupt(t *testing.T) {
	c, far := pair(t, nil)
	failed := make(chan error)
	go func() { _, err := c.Read(0); failed <- err }()
	synctest.Wait()
	c.Interrupt()
	if err := <-failed; err == nil {
		t.Fatal("reading goes on")
	}
	if _, err := c.Read(time.Hour); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("reading begins again: %v", err)
	}
	go c.TrySend(1, new(End))
	var b [4]byte
	if _, err := io.ReadFull(far, b[:]); err != nil {
		t.Fatalf("sending is affected: %v", err)
	}
}
