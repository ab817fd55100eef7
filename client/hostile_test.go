package client

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/hostile"
	"github.com/visualrwkv/edged/wire"
)

// TestBadServers: what a server of another kind sends is an error, and nothing
// hangs.
func TestBadServers(t *testing.T) { synctest.Test(t, testBadServers) }

func testBadServers(t *testing.T) {
	frame := func(id uint64, m wire.Message) string {
		b, err := wire.Append(nil, id, m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	welcome := frame(1, &wire.Welcome{Protocol: 1})
	for _, c := range []struct {
		bytes, want string
	}{
		{"", "server closed the connection"},
		{"HTTP/1.1 400", "bad frame: length"},
		{"\x00\x00\x00\x01\xc1", "bad frame: byte 0"},
		{frame(1, new(wire.End)), "end as the reply to hello"},
		{welcome + frame(2, new(wire.End)), "end as the reply to get_status"},
		{welcome + frame(9, new(wire.End)), "server closed the connection"}, // nobody's
		{welcome + frame(2, new(wire.Ask)), "server closed the connection"}, // no reply, passed over
	} {
		near, far := net.Pipe()
		go func() {
			go io.Copy(io.Discard, far)
			time.Sleep(5 * time.Millisecond)
			if rest, ok := strings.CutPrefix(c.bytes, welcome); ok {
				io.WriteString(far, welcome)
				time.Sleep(5 * time.Millisecond)
				c.bytes = rest
			}
			io.WriteString(far, c.bytes)
			time.Sleep(5 * time.Millisecond)
			far.Close()
		}()
		cl, err := New(context.Background(), near, &Options{Timeout: time.Second})
		if err == nil {
			_, err = cl.Status(context.Background())
			cl.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.bytes, err, c.want)
		}
	}

	near, far := net.Pipe()
	defer far.Close()
	go io.Copy(io.Discard, far)
	if _, err := New(context.Background(), near, &Options{Timeout: 5 * time.Millisecond}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent server: %v", err)
	}
}

// TestDamagedServer: 1,000 servers whose bytes were damaged on the way give replies
// or errors, and nothing hangs.
func TestDamagedServer(t *testing.T) { synctest.Test(t, testDamagedServer) }

func testDamagedServer(t *testing.T) {
	talk, err := wire.Append(nil, 1, &wire.Welcome{Protocol: wire.Protocol, Scenes: []string{"yard"}})
	greeting := len(talk)
	for _, m := range []wire.Message{&wire.Piece{Text: "a red "}, &wire.Piece{Text: "box"}, &wire.Answer{Text: "a red box", Scene: "yard"}} {
		if err == nil {
			talk, err = wire.Append(talk, 2, m)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var answered atomic.Int32
	var all sync.WaitGroup
	for worker := range uint64(8) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, worker))
			for range 125 {
				bad := hostile.Damage(rng, talk, "\xdb\xff\xff\xff\xff", "\xdf\x80\x00\x00\x00", "\x00\x10\x00\x00", "\x02")
				ok, err := askDamaged(t, bad, min(greeting, len(bad)))
				if err != nil && (err.Error() == "" || len(err.Error()) > 400) {
					t.Errorf("%q: unclear error %v", bad, err)
				}
				if ok {
					answered.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := answered.Load(); n == 0 || n > 500 {
		t.Errorf("%d of 1000 answered", n)
	}
}

// askDamaged asks a server that sends bad[:at] for the greeting and the rest for
// the question.
func askDamaged(t *testing.T, bad []byte, at int) (answered bool, err error) {
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer far.Close()
		for _, reply := range [][]byte{bad[:at], bad[at:]} {
			var head [4]byte
			if _, err := io.ReadFull(far, head[:]); err != nil {
				return
			}
			io.CopyN(io.Discard, far, int64(binary.BigEndian.Uint32(head[:])))
			far.Write(reply)
		}
	}()
	defer func() { <-served }()
	c, err := New(t.Context(), near, &Options{Timeout: 50 * time.Millisecond}) // for a welcome that became unknown
	if err != nil {
		return false, err
	}
	defer c.Close()
	_, answer, err := ask(t.Context(), c, "what?")
	return answer != nil, err
}
