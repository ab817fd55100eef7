package edge

import (
	"context"
	"errors"
	"io/fs"
	"net"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

// server answers the clients of one listener.
type server struct {
	listen  func(ctx context.Context) (net.Listener, error)
	handler wire.Handler
	opts    wire.ServeOptions

	cancel context.CancelFunc
	done   chan error
}

// listenAt listens on a unix socket that its owner alone may use, unless mode
// says otherwise.
func listenAt(path string, mode fs.FileMode) func(context.Context) (net.Listener, error) {
	if mode == 0 {
		mode = 0o600
	}
	return func(ctx context.Context) (net.Listener, error) { return wire.Listen(ctx, path, mode) }
}

// start serves until stop: the context of start ends what feeds the clients, and
// they should hear the end of that.
func (s *server) start(ctx context.Context) error {
	ln, err := s.listen(ctx)
	if err != nil {
		return err
	}
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.done = make(chan error, 1)
	go func() { s.done <- wire.Serve(ctx, ln, s.handler, &s.opts) }()
	return nil
}

func (s *server) stop() error {
	s.cancel()
	err := <-s.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Client returns a client of this daemon that needs no socket: it goes the same
// way as every other. The daemon must have been started.
func (d *Daemon) Client(ctx context.Context) (*client.Client, error) {
	nc, err := d.memory.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return client.New(ctx, nc, &client.Options{Name: "in process"})
}
