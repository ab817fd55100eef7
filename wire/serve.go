package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Handler is what a server does behind the socket. Its methods are called from
// many goroutines, for different requests at the same time. They return when ctx
// ends: the client canceled or went away, or the server stops. An [*Error] they
// return reaches the client as it is, any other error with the code that [Code]
// gives it.
type Handler interface {
	// Welcome fills the reply to a client's hello; Protocol is set by the server.
	Welcome(ctx context.Context, h *Hello) (*Welcome, error)
	Status(ctx context.Context) (*Status, error)
	Scenes(ctx context.Context) (*Scenes, error)

	// Watch calls emit for each event from now on and returns when ctx ends or
	// there will be no more. emit never waits: it copies what the event holds and
	// drops it when the client is slow, and returns an error only when
	// the watch is over. It may be called from any goroutine, also after Watch has
	// returned, when it does nothing but return an error.
	Watch(ctx context.Context, w *Watch, emit func(*Event) error) error

	// Ask answers a question and calls piece for each bit of text as it is
	// generated; piece has the properties of emit, but loses nothing: what a slow
	// client has not taken is joined into one piece.
	Ask(ctx context.Context, a *Ask, piece func(string) error) (*Answer, error)
}

// errOver is what the callbacks of a [Handler] return when nobody listens any more.
var errOver = errors.New("request is over")

// ServeOptions bound what clients can cost. Zero fields have the default stated.
type ServeOptions struct {
	MaxClients   int           // connections at one time: 32
	MaxRequests  int           // requests in flight on one connection: 8
	MaxQuestion  int           // bytes of a question: 4096
	QueueBytes   int           // outgoing bytes waiting for one client: 256 KiB
	IdleTimeout  time.Duration // a connection with no request in flight is closed after: 5 min
	ReadTimeout  time.Duration // for the hello, and for a frame once it has begun: 10 s
	WriteTimeout time.Duration // for the client to take what is sent to it: 10 s
	StopTimeout  time.Duration // for last messages to leave when the server stops: 1 s

	// Log is told of connections that end in an error; nil: nobody.
	Log func(err error)
}

// Serve accepts clients until ctx ends and lets h answer them. It closes ln. When
// ctx ends, requests in flight end with [CodeClosing], clients get StopTimeout to
// take what is queued for them, and Serve returns nil when every goroutine it
// started has ended, which takes as long as the methods of h need to return. Any
// other result is why ln failed.
func Serve(ctx context.Context, ln net.Listener, h Handler, o *ServeOptions) error {
	s := &server{h: h}
	if o != nil {
		s.o = *o
	}
	s.o.setDefaults()
	s.slots = make(chan struct{}, s.o.MaxClients)
	ctx, cancel := context.WithCancel(ctx)
	defer s.clients.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()
	for pause := time.Duration(0); ; {
		nc, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// Out of descriptors, most likely: that passes when clients leave.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log(fmt.Errorf("accept: %w", err))
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		select {
		case s.slots <- struct{}{}:
			s.clients.Go(func() {
				defer func() { <-s.slots }()
				s.serve(ctx, nc)
			})
		default:
			s.refuse(nc)
		}
	}
}

type server struct {
	h       Handler
	o       ServeOptions
	slots   chan struct{}
	clients sync.WaitGroup
}

func (o *ServeOptions) setDefaults() {
	o.MaxClients = orDefault(o.MaxClients, 32)
	o.MaxRequests = orDefault(o.MaxRequests, 8)
	o.MaxQuestion = orDefault(o.MaxQuestion, 4096)
	o.IdleTimeout = orDefault(o.IdleTimeout, 5*time.Minute)
	o.ReadTimeout = orDefault(o.ReadTimeout, 10*time.Second)
	o.StopTimeout = orDefault(o.StopTimeout, time.Second)
}

func (s *server) log(err error) {
	if s.o.Log != nil {
		s.o.Log(err)
	}
}

// refuse tells a client that there are too many. It is called by the accept loop
// and must be quick; the few bytes fit into any socket's buffer.
func (s *server) refuse(nc net.Conn) {
	defer nc.Close()
	e := Errorf(CodeBusy, "%d clients are connected already", s.o.MaxClients)
	s.log(e)
	frame, err := Append(nil, 0, e)
	if err == nil && nc.SetDeadline(time.Now().Add(50*time.Millisecond)) == nil {
		nc.Write(frame) // whether it hears it is its own affair
	}
}
