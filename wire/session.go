package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// session is one client of a server.
type session struct {
	*server
	ctx    context.Context // ends with the connection and when the server stops
	stop   context.Context // ends when the server stops
	conn   *Conn
	role   Role
	slots  chan struct{} // one for each goroutine of a request
	runs   sync.WaitGroup
	mu     sync.Mutex
	active map[uint64]*request
	last   time.Time // when the client last did something or was served
}

// serve talks to one client until either side ends it.
func (s *server) serve(stop context.Context, nc net.Conn) {
	role, leave, err := s.admit(nc)
	defer leave()
	if err != nil {
		s.refuse(nc, toError(err))
		return
	}
	ctx, cancel := context.WithCancel(stop)
	c := &session{
		server: s,
		ctx:    ctx,
		stop:   stop,
		role:   role,
		conn: NewConn(nc, &ConnOptions{
			MaxRead:      MaxRequest,
			QueueBytes:   s.o.QueueBytes,
			ReadTimeout:  s.o.ReadTimeout,
			WriteTimeout: s.o.WriteTimeout,
		}),
		slots:  make(chan struct{}, s.o.MaxRequests),
		active: map[uint64]*request{},
		last:   time.Now(),
	}
	release := context.AfterFunc(stop, c.conn.Interrupt)
	err = c.greet()
	for err == nil {
		err = c.next()
	}
	release()
	stopping := stop.Err() != nil
	if stopping {
		err = Errorf(CodeClosing, "the server stops")
	}
	cancel()
	c.farewell(err, stopping)
	c.conn.Close()
	c.conn.recycle()
	c.runs.Wait()
	if !stopping && err != io.EOF {
		s.log(fmt.Errorf("client: %w", err))
	}
}

// farewell tells the client why the connection ends, if it can still hear it.
func (c *session) farewell(err error, stopping bool) {
	ctx, cancel := context.WithTimeout(context.Background(), c.o.StopTimeout)
	defer cancel()
	if stopping {
		// Requests end with messages of their own.
		ended := make(chan struct{})
		go func() { c.runs.Wait(); close(ended) }()
		defer func() { c.conn.Close(); <-ended }()
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
	switch e, ok := errors.AsType[*Error](err); {
	case ok:
		err = c.conn.Send(ctx, 0, e)
	case errors.Is(err, ErrFormat):
		err = c.conn.Send(ctx, 0, Errorf(CodeProtocol, "%v", err))
	default:
		return
	}
	if err == nil {
		c.conn.Flush(ctx) // a client that does not read has had its time
	}
}

// greet reads the hello and answers it.
func (c *session) greet() error {
	payload, err := c.conn.Read(c.o.ReadTimeout)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return Errorf(CodeProtocol, "no hello within %v", c.o.ReadTimeout)
	}
	if err != nil {
		return err
	}
	head, m, err := ParseRequest(payload)
	hello, ok := m.(*Hello)
	switch {
	case errors.Is(err, ErrFormat):
		return err
	case err != nil:
		return Errorf(CodeProtocol, "%v", err)
	case !ok:
		return Errorf(CodeProtocol, "%s before hello", head.Type)
	case head.ID == 0:
		return Errorf(CodeProtocol, "request id 0")
	case hello.Protocol != Protocol:
		return Errorf(CodeProtocol, "this server speaks protocol %d, not %d", Protocol, hello.Protocol)
	}
	w, err := c.h.Welcome(c.ctx, hello)
	if err != nil {
		return c.asError(err)
	}
	reply := *w
	reply.Protocol, reply.Role = Protocol, c.role.String()
	return c.conn.Send(c.ctx, head.ID, &reply)
}

// next reads and starts one request. An error ends the connection.
func (c *session) next() error {
	payload, err := c.read()
	if err != nil {
		return err
	}
	head, m, err := ParseRequest(payload)
	switch {
	case errors.Is(err, ErrFormat):
		return err
	case head.ID == 0:
		return Errorf(CodeProtocol, "request id 0")
	case errors.Is(err, ErrUnknown):
		return c.conn.Send(c.ctx, head.ID, Errorf(CodeUnknown, "%v", err))
	case err != nil:
		return c.conn.Send(c.ctx, head.ID, Errorf(CodeRequest, "%v", err))
	}
	c.mu.Lock()
	r, n := c.active[head.ID], len(c.active)
	c.mu.Unlock()
	if _, ok := m.(*Cancel); ok {
		if r != nil {
			r.cancel()
		}
		return nil
	}
	switch {
	case r != nil:
		return Errorf(CodeProtocol, "request id %d is in use", head.ID)
	case n >= c.o.MaxRequests:
		return c.conn.Send(c.ctx, head.ID, Errorf(CodeBusy, "%d requests are in flight already", n))
	}
	// Requests that are over but whose end the client has not taken hold a slot:
	// it gets no more until it reads.
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	r = &request{s: c, id: head.ID}
	r.ctx, r.cancel = context.WithCancel(c.ctx)
	c.mu.Lock()
	c.active[head.ID] = r
	c.mu.Unlock()
	c.runs.Go(func() {
		defer func() { <-c.slots }()
		r.run(m)
	})
	return nil
}

// read waits for a request, for ever as long as one is in flight.
func (c *session) read() ([]byte, error) {
	wait := c.o.IdleTimeout
	for {
		payload, err := c.conn.Read(wait)
		c.mu.Lock()
		switch {
		case err == nil:
			c.last = time.Now()
		case !errors.Is(err, os.ErrDeadlineExceeded):
		case len(c.active) > 0:
			wait, err = c.o.IdleTimeout, nil
		default:
			if wait = c.o.IdleTimeout - time.Since(c.last); wait > 0 {
				err = nil
			} else {
				err = Errorf(CodeClosing, "nothing asked for %v", c.o.IdleTimeout)
			}
		}
		c.mu.Unlock()
		if payload != nil || err != nil {
			return payload, err
		}
	}
}

// asError is what a client is told about an error of the handler.
func (c *session) asError(err error) *Error {
	if c.stop.Err() != nil {
		return Errorf(CodeClosing, "the server stops")
	}
	return toError(err)
}
