package wire

import (
	"context"
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
