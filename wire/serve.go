package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
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

	// Watch calls emit for each event from w.From on and returns when ctx ends or
	// there will be no more. emit waits until there is room for the event on its way
	// to the client, so it must not be called with something held that others wait
	// for. It returns an error only when the watch is over.
	Watch(ctx context.Context, w *Watch, emit func(*Event) error) error

	// Search calls emit, as Watch does, for up to s.Limit events, which is from 1 to
	// MaxFound, and returns with which sequence number to go on: 0 if there is no
	// more. match is s.Match compiled, nil if it is empty.
	Search(ctx context.Context, s *Search, match *regexp.Regexp, emit func(*Event) error) (next uint64, err error)

	// Ask answers a question and calls piece for each bit of text as it is
	// generated. piece never waits: what a slow client has not taken is joined into
	// one piece. It returns an error only when the request is over. It may be called
	// from any goroutine, also after Ask has returned, when it does nothing but return
	// an error. The question's deadline is part of ctx.
	Ask(ctx context.Context, a *Ask, piece func(string) error) (*Answer, error)

	Snapshots(ctx context.Context, g *GetSnapshots) (*Snapshots, error)

	// Admin does what an administrator asks for.
	Admin(ctx context.Context, a *Admin) error
}

// errOver is what the callbacks of a [Handler] return when nobody listens any more.
var errOver = errors.New("request is over")

// ServeOptions bound what clients can cost. Zero fields have the default stated.
type ServeOptions struct {
	MaxClients   int           // connections at one time: 32
	MaxPerUser   int           // of one user who is no administrator: half of that
	MaxRequests  int           // requests in flight on one connection: 8
	MaxQuestion  int           // bytes of a question: the constant of that name
	QueueBytes   int           // outgoing bytes waiting for one client: 256 KiB
	IdleTimeout  time.Duration // a connection with no request in flight is closed after: 5 min
	ReadTimeout  time.Duration // for the hello, and for a frame once it has begun: 10 s
	WriteTimeout time.Duration // for the client to take what is sent to it: 10 s
	StopTimeout  time.Duration // for last messages to leave when the server stops: 1 s

	// Role says what a client may do: for instance [Grants]. Nil lets everybody who
	// can connect do everything. Clients that come another way than by a unix socket
	// are part of this process and may too.
	Role func(Peer) Role

	// Log is told of connections that end in an error; nil: nobody.
	Log func(err error)
}

// Serve accepts clients until ctx ends and lets h answer them. It closes ln. When
// ctx ends, requests in flight end with [CodeClosing], clients get StopTimeout to
// take what is queued for them, and Serve returns nil when every goroutine it
// started has ended, which takes as long as the methods of h need to return. Any
// other result is why ln failed.
func Serve(ctx context.Context, ln net.Listener, h Handler, o *ServeOptions) error {
	s := &server{h: h, users: map[uint32]int{}}
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
			s.refuse(nc, Errorf(CodeBusy, "%d clients are connected already", s.o.MaxClients))
		}
	}
}

type server struct {
	h       Handler
	o       ServeOptions
	slots   chan struct{}
	clients sync.WaitGroup

	mu    sync.Mutex
	users map[uint32]int // connections of users who are no administrators
}

// admit finds out who a client is and what it may do. leave is to be called when it
// has gone.
func (s *server) admit(nc net.Conn) (role Role, leave func(), err error) {
	leave = func() {}
	u, ok := nc.(*net.UnixConn)
	if s.o.Role == nil || !ok {
		return RoleAdmin, leave, nil
	}
	p, err := peer(u)
	if err != nil {
		return 0, leave, fmt.Errorf("who is it? %w", err)
	}
	switch role = s.o.Role(p); role {
	case 0:
		return 0, leave, Errorf(CodeDenied, "user %d has no role here", p.UID)
	case RoleAdmin:
		return role, leave, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.users[p.UID]; n >= s.o.MaxPerUser {
		return 0, leave, Errorf(CodeBusy, "user %d has %d connections already", p.UID, n)
	}
	s.users[p.UID]++
	return role, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.users[p.UID]--; s.users[p.UID] == 0 {
			delete(s.users, p.UID)
		}
	}, nil
}

func (o *ServeOptions) setDefaults() {
	o.MaxClients = orDefault(o.MaxClients, 32)
	o.MaxPerUser = orDefault(o.MaxPerUser, max(o.MaxClients/2, 1))
	o.MaxRequests = orDefault(o.MaxRequests, 8)
	o.MaxQuestion = orDefault(o.MaxQuestion, MaxQuestion)
	o.IdleTimeout = orDefault(o.IdleTimeout, 5*time.Minute)
	o.ReadTimeout = orDefault(o.ReadTimeout, 10*time.Second)
	o.StopTimeout = orDefault(o.StopTimeout, time.Second)
}

func (s *server) log(err error) {
	if s.o.Log != nil {
		s.o.Log(err)
	}
}

// refuse tells a client why it is not served. It is called by the accept loop too
// and must be quick; the few bytes fit into any socket's buffer.
func (s *server) refuse(nc net.Conn, e *Error) {
	defer nc.Close()
	s.log(e)
	frame, err := Append(nil, 0, e)
	if err == nil && nc.SetDeadline(time.Now().Add(50*time.Millisecond)) == nil {
		nc.Write(frame) // whether it hears it is its own affair
	}
}
