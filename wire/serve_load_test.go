package wire

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/hostile"
)

// TestServeMany: 16 clients with several requests each, nothing lost or mixed.
func TestServeMany(t *testing.T) {
	path := socketPath(t)
	ln, err := Listen(context.Background(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, ln, &house{}, nil)
	var all sync.WaitGroup
	for k := range 16 {
		all.Go(func() {
			nc, err := net.Dial("unix", path)
			if err != nil {
				t.Error(err)
				return
			}
			p := &client{t, nc, NewConn(nc, nil)}
			defer p.conn.Close()
			p.send(1, &Hello{Protocol: 1})
			p.read()
			const batch = 8
			for round := range 60 {
				var text [batch]string
				for i := range batch {
					p.send(uint64(100+i), &Ask{Question: fmt.Sprintf("%d %d %d", k, round, i)})
				}
				for over := 0; over < batch; {
					id, m := p.read()
					switch m := m.(type) {
					case *Piece:
						text[id-100] += " " + m.Text
					case *Answer:
						if want := fmt.Sprintf("%d %d %d", k, round, id-100); m.Text != want || text[id-100] != " "+want && strings.ReplaceAll(text[id-100], " ", "") != strings.ReplaceAll(want, " ", "") {
							t.Errorf("%q with pieces %q, want %q", m.Text, text[id-100], want)
						}
						over++
					default:
						t.Errorf("%+v", m)
						over++
					}
				}
			}
		})
	}
	all.Wait()
}

// TestServeMutations sends 1,000 damaged conversations: the server answers each
// with frames of the protocol or closes, and goes on.
func TestServeMutations(t *testing.T) { synctest.Test(t, testServeMutations) }

func testServeMutations(t *testing.T) {
	_, ln := open(t, &ServeOptions{ReadTimeout: 20 * time.Millisecond, IdleTimeout: 20 * time.Millisecond})
	requests, _ := samples()
	var talk []byte
	for i, m := range requests {
		var err error
		if talk, err = Append(talk, uint64(i+1), m); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(7, 8))
	var all sync.WaitGroup
	for range 8 {
		seed := rng.Uint64()
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 9))
			for range 125 {
				nc, err := ln.Dial(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				c := NewConn(nc, nil)
				written := make(chan struct{})
				go func() {
					defer close(written)
					nc.Write(hostile.Damage(rng, talk, bombs...))
					time.Sleep(time.Millisecond)
					nc.Close()
				}()
				for {
					payload, err := c.Read(20 * time.Second)
					if err != nil {
						if errors.Is(err, ErrFormat) || errors.Is(err, os.ErrDeadlineExceeded) {
							t.Error(err)
						}
						break
					}
					if _, _, err := ParseReply(payload); err != nil {
						t.Errorf("%q: %v", payload, err)
					}
				}
				<-written
				c.Close()
			}
		})
	}
	all.Wait()
	p := greet(t, ln)
	p.send(2, new(GetStatus))
	p.want(2, &Status{Model: "m"})
}
