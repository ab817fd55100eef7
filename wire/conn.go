package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Buffers that grew beyond keepBytes for a large frame are let go after it. Those of
// payloads that need more than smallBytes and no more than that are used again, so that a
// flood of bad frames, each on a connection of its own, is no work for the collector.
const (
	smallBytes = 4 << 10
	keepBytes  = 64 << 10
)

var payloadBuffers = sync.Pool{New: func() any { return new([keepBytes]byte) }}

// ErrFull says that the outgoing queue has no room for a message now.
var ErrFull = errors.New("outgoing queue is full")

// ConnOptions bound a [Conn]. Zero fields have the default stated.
type ConnOptions struct {
	MaxRead      int           // bytes of a payload that the peer may send: MaxFrame
	MaxSend      int           // bytes of a payload that may be sent to it: MaxFrame
	QueueBytes   int           // outgoing bytes that may wait: 256 KiB; one frame may always wait
	ReadTimeout  time.Duration // for a frame once its first byte is there: 10 s
	WriteTimeout time.Duration // for the peer to take what was queued: 10 s
}

// Conn sends and receives frames over a connection that it owns.
//
// Messages are queued and written by a goroutine of the Conn, so that no sender
// waits for the peer unless it wants to: [Conn.TrySend] refuses when the queue is
// full, [Conn.Send] waits for room. A peer that does not take what is written
// within WriteTimeout is cut off: the connection is closed and everything fails
// with the error of that write. When a write fails because the peer has gone, what
// it said before can still be read: usually why. Frames written at one time leave in
// one system call.
//
// One goroutine may read, any number send.
type Conn struct {
	nc   net.Conn
	o    ConnOptions
	br   *bufio.Reader
	in   []byte // the newest payload
	done chan struct{}

	mu          sync.Mutex
	out         []byte        // frames that wait
	spare       []byte        // buffer of the frames that were written last
	writing     bool          // frames are being written
	moved       chan struct{} // closed when the queue has moved, and replaced
	wake        chan struct{} // tells the writer of frames and of the end
	err         error         // why nothing more is sent
	closed      bool          // nc is
	interrupted bool          // reading is over
}

// NewConn makes a Conn of nc and starts its writer, which ends with [Conn.Close].
func NewConn(nc net.Conn, o *ConnOptions) *Conn {
	c := &Conn{
		nc:    nc,
		br:    bufio.NewReader(nc),
		done:  make(chan struct{}),
		moved: make(chan struct{}),
		wake:  make(chan struct{}, 1),
	}
	if o != nil {
		c.o = *o
	}
	c.o.MaxRead = orDefault(c.o.MaxRead, MaxFrame)
	c.o.MaxSend = orDefault(c.o.MaxSend, MaxFrame)
	c.o.QueueBytes = orDefault(c.o.QueueBytes, 256<<10)
	c.o.ReadTimeout = orDefault(c.o.ReadTimeout, 10*time.Second)
	c.o.WriteTimeout = orDefault(c.o.WriteTimeout, 10*time.Second)
	go c.write()
	return c
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Read returns the payload of the next frame, valid until the next call; nothing
// in it has been looked at. If idle is not 0 and no frame begins within it, the
// error wraps [os.ErrDeadlineExceeded] and Read may be called again. After any
// other error, [io.EOF] between frames among them, it may not.
func (c *Conn) Read(idle time.Duration) ([]byte, error) {
	c.recycle()
	if err := c.readDeadline(idle); err != nil {
		return nil, err
	}
	if _, err := c.br.Peek(1); err != nil {
		return nil, err
	}
	if err := c.readDeadline(c.o.ReadTimeout); err != nil {
		return nil, err
	}
	var head [headSize]byte
	if _, err := io.ReadFull(c.br, head[:]); err != nil {
		return nil, midFrame(err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || int64(size) > int64(c.o.MaxRead) {
		return nil, fmt.Errorf("%w: length %d is not in 1..%d", ErrFormat, size, c.o.MaxRead)
	}
	in, n := c.in[:0], int(size)
	if smallBytes < n && n <= keepBytes {
		in = payloadBuffers.Get().(*[keepBytes]byte)[:0]
		c.in = in
	}
	// A larger buffer grows with what arrives, not with what is claimed.
	for len(in) < n {
		at := len(in)
		if to := min(n, max(2*at, smallBytes)); cap(in) < to {
			in = append(make([]byte, 0, to), in...)
		}
		in = in[:min(n, cap(in))]
		if _, err := io.ReadFull(c.br, in[at:]); err != nil {
			return nil, midFrame(err)
		}
	}
	c.in = in
	return in, nil
}

// recycle lets go of the buffer of a large payload, for whoever needs one next. It is for
// the goroutine that reads.
func (c *Conn) recycle() {
	if cap(c.in) == keepBytes {
		payloadBuffers.Put((*[keepBytes]byte)(c.in[:keepBytes]))
	}
	if cap(c.in) > smallBytes {
		c.in = nil
	}
}

// midFrame makes the errors that mean something else between frames plain
// failures.
func midFrame(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: frame was not completed in time", ErrFormat)
	}
	return fmt.Errorf("inside a frame: %w", err)
}

func (c *Conn) readDeadline(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return net.ErrClosed
	}
	if c.err != nil && (d == 0 || d > c.o.ReadTimeout) {
		d = c.o.ReadTimeout // the peer may have left without closing its end
	}
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	// It fails if the connection is closed, of a pipe also by the peer when bytes
	// are still to be read here: reading will tell.
	_ = c.nc.SetReadDeadline(t)
	return nil
}

// Interrupt makes [Conn.Read] fail, now and from now on. Sending is not affected.
func (c *Conn) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	c.nc.SetReadDeadline(time.Unix(1, 0)) // fails on a closed connection only
}

// TrySend queues a message. It returns [ErrFull] if there is no room for it, the
// error of [Append], or why the connection has ended.
func (c *Conn) TrySend(id uint64, m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue(id, m)
}

// Send is [Conn.TrySend], waiting for room until ctx ends.
func (c *Conn) Send(ctx context.Context, id uint64, m Message) error {
	for {
		c.mu.Lock()
		err, moved := c.queue(id, m), c.moved
		c.mu.Unlock()
		if err != ErrFull {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// queue is called with mu held.
func (c *Conn) queue(id uint64, m Message) error {
	if c.err != nil {
		return c.err
	}
	before := len(c.out)
	out, err := Append(c.out, id, m)
	if err != nil {
		return err
	}
	if size := len(out) - before - headSize; size > c.o.MaxSend {
		return fmt.Errorf("%s of %d bytes, more than %d", m.Kind(), size, c.o.MaxSend)
	}
	if before > 0 && len(out) > c.o.QueueBytes {
		return ErrFull
	}
	c.out = out
	c.poke()
	return nil
}

func (c *Conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Flush waits until everything queued has been written, or until ctx ends.
func (c *Conn) Flush(ctx context.Context) error {
	for {
		c.mu.Lock()
		err, moved, busy := c.err, c.moved, len(c.out) > 0 || c.writing
		c.mu.Unlock()
		if err != nil || !busy {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close closes the connection at once, what is queued is lost, and waits for the
// writer to end. It may be called more than once and by several goroutines.
func (c *Conn) Close() error {
	c.fail(net.ErrClosed)
	<-c.done
	return nil
}

// fail ends the connection for the reason err.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	if !c.closed {
		c.closed = true
		c.nc.Close() // nothing can be done about its error
	}
	c.announce()
	c.mu.Unlock()
	c.poke()
}

// announce is called with mu held.
func (c *Conn) announce() {
	close(c.moved)
	c.moved = make(chan struct{})
}

// write is the writer.
func (c *Conn) write() {
	defer close(c.done)
	for {
		c.mu.Lock()
		batch := c.out
		if c.err != nil {
			c.mu.Unlock()
			return
		}
		if len(batch) > 0 {
			c.out, c.spare = c.spare[:0], nil
			c.writing = true
			c.announce()
		}
		c.mu.Unlock()
		if len(batch) == 0 {
			<-c.wake
			continue
		}
		err := c.nc.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout))
		if err == nil {
			_, err = c.nc.Write(batch)
		}
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.fail(fmt.Errorf("peer does not read: %w", err))
				return
			}
			c.mu.Lock()
			if c.err == nil {
				c.err = err
			}
			if !c.interrupted {
				c.nc.SetReadDeadline(time.Now().Add(c.o.ReadTimeout)) // of a read that waits
			}
			c.announce()
			c.mu.Unlock()
			return
		}
		c.mu.Lock()
		if cap(batch) <= keepBytes {
			c.spare = batch
		}
		c.writing = false
		c.announce()
		c.mu.Unlock()
	}
}
