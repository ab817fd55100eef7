package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/wire"
)

// Options for a connection. Zero fields have the default stated.
type Options struct {
	Name    string        // for the server's log: nothing
	Timeout time.Duration // for connecting and the greeting, if the context has none shorter: 10 s
}

// ErrClosed is what requests fail with after [Client.Close].
var ErrClosed = errors.New("client is closed")

// Client is a connection to a server.
type Client struct {
	conn    *wire.Conn
	welcome wire.Welcome
	done    chan struct{} // closed when the reader has ended

	mu    sync.Mutex
	last  uint64 // id
	calls map[uint64]*call
	err   error // why the connection is over
}

// Dial connects to the server at a unix socket.
func Dial(ctx context.Context, path string, o *Options) (*Client, error) {
	ctx, cancel := withTimeout(ctx, o)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no edged answers at %s, is it running? %w", path, err)
	case err != nil:
		return nil, err
	}
	return New(ctx, nc, o)
}

// New greets the server at the other end of nc, which belongs to the client from
// now on, also in case of an error.
func New(ctx context.Context, nc net.Conn, o *Options) (*Client, error) {
	ctx, cancel := withTimeout(ctx, o)
	defer cancel()
	c := &Client{
		conn:  wire.NewConn(nc, &wire.ConnOptions{MaxSend: wire.MaxRequest}),
		done:  make(chan struct{}),
		calls: map[uint64]*call{},
	}
	go c.read()
	hello := &wire.Hello{Protocol: wire.Protocol}
	if o != nil {
		hello.Client = o.Name
	}
	w, err := one[*wire.Welcome](ctx, c, hello)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("greeting: %w", err)
	}
	c.welcome = *w
	return c, nil
}

func withTimeout(ctx context.Context, o *Options) (context.Context, context.CancelFunc) {
	d := 10 * time.Second
	if o != nil && o.Timeout > 0 {
		d = o.Timeout
	}
	return context.WithTimeout(ctx, d)
}

// Server returns what the server said of itself when the connection began.
func (c *Client) Server() wire.Welcome { return c.welcome }

// Close ends the connection and every request in flight.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.conn.Close()
	<-c.done
	return nil
}

// Status asks how the server is.
func (c *Client) Status(ctx context.Context) (*wire.Status, error) {
	return one[*wire.Status](ctx, c, new(wire.GetStatus))
}

// Scenes asks which scenes there are.
func (c *Client) Scenes(ctx context.Context) ([]wire.SceneInfo, error) {
	s, err := one[*wire.Scenes](ctx, c, new(wire.GetScenes))
	if err != nil {
		return nil, err
	}
	return s.Scenes, nil
}

// Snapshots lists the saved memories of a scene; empty is the only one.
func (c *Client) Snapshots(ctx context.Context, scene string) (*wire.Snapshots, error) {
	return one[*wire.Snapshots](ctx, c, &wire.GetSnapshots{Scene: scene})
}

// Admin tells the server to do something.
func (c *Client) Admin(ctx context.Context, a *wire.Admin) error {
	_, err := one[*wire.Done](ctx, c, a)
	return err
}

// one does a request that has a single reply.
func one[R wire.Message](ctx context.Context, c *Client, m wire.Message) (reply R, err error) {
	q, err := c.start(ctx, m)
	if err != nil {
		return reply, err
	}
	defer c.end(q)
	got, err := q.next(ctx)
	if err != nil {
		return reply, err
	}
	reply, ok := got.(R)
	if !ok {
		return reply, fmt.Errorf("%w: %s as the reply to %s", wire.ErrFormat, got.Kind(), m.Kind())
	}
	return reply, nil
}

// read gives what arrives to the requests it belongs to.
func (c *Client) read() {
	defer close(c.done)
	for {
		payload, err := c.conn.Read(0)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("server closed the connection: %w", io.ErrUnexpectedEOF)
			}
			c.fail(err)
			return
		}
		head, m, err := wire.ParseReply(payload)
		if errors.Is(err, wire.ErrUnknown) {
			continue // of a later version
		}
		if err != nil {
			c.fail(err)
			return
		}
		if e, ok := m.(*wire.Error); ok && head.ID == 0 {
			c.fail(e)
			return
		}
		c.mu.Lock()
		q := c.calls[head.ID]
		c.mu.Unlock()
		if q != nil { // else it was canceled
			q.put(m)
		}
	}
}

// fail ends every request, present and future, with the first error given.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	for _, q := range c.calls {
		q.fail(err)
	}
}

// start sends a request.
func (c *Client) start(ctx context.Context, m wire.Message) (*call, error) {
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return nil, c.err
	}
	c.last++
	q := &call{id: c.last, kept: c.welcome.Log, wake: make(chan struct{}, 1)}
	c.calls[q.id] = q
	c.mu.Unlock()
	if err := c.conn.Send(ctx, q.id, m); err != nil {
		c.forget(q)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil { // says more than a write that failed
			err = c.err
		}
		return nil, err
	}
	return q, nil
}

// end cancels a request unless it is over.
func (c *Client) end(q *call) {
	c.forget(q)
	if !q.ended() {
		// If the queue is full the server will find out by itself that nobody
		// reads, at the latest when the connection ends.
		_ = c.conn.TrySend(q.id, new(wire.Cancel))
	}
}

func (c *Client) forget(q *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, q.id)
}
