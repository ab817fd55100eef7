package vlm_test

import (
	"context"
	"errors"
	"image"
	"iter"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

// Matrices in the middle of a block, with blocks after it.
const (
	inTower   = "vit.siglip_featurizer.blocks.1.attn.proj.weight"
	inEncoder = "state_encoder.blocks.1.att.gate.weight"
	inDecoder = "rwkv.blocks.1.att.output.weight"
)

var deep = func() (s tinymodel.Spec) {
	s = base
	s.L, s.E, s.Depth = 4, 3, 4
	return s
}()

// trap springs before a product in the middle of a block, and notes the matrices of other
// blocks that are multiplied with after that.
type trap struct {
	mu     sync.Mutex
	matrix string // empty: not set
	rows   int    // of the product, 0: any
	spring func()
	sprung bool
	later  []string
}

func (p *trap) set(matrix string, rows int, spring func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.matrix, p.rows, p.spring = matrix, rows, spring
}

// model opens one whose products p sees.
func (p *trap) model(t *testing.T) *vlm.Model {
	return open(t, deep, func(o *vlm.Options) { o.Multiplied(p.multiplied) })
}

// samModel is one with SAM's tower.
func (p *trap) samModel(t *testing.T) *vlm.Model {
	return open(t, sam, func(o *vlm.Options) {
		o.Config = []byte(samConfig + "}")
		o.Multiplied(p.multiplied)
	})
}

var block = regexp.MustCompile(`^.*blocks\.\d+\.`)

func (p *trap) multiplied(matrix string, rows int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.sprung:
		if block.FindString(matrix) != block.FindString(p.matrix) {
			p.later = append(p.later, matrix)
		}
	case matrix == p.matrix && (p.rows == 0 || p.rows == rows):
		p.sprung = true
		p.spring()
	}
}

func (p *trap) done() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sprung
}

// check fails unless the trap was sprung, and nothing computed outside the block.
func (p *trap) check(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.sprung || len(p.later) > 0 {
		t.Errorf("ended within %s: %t; then computed: %v", p.matrix, p.sprung, p.later)
	}
}

// TestStopsWithinALayer: once the context has ended no further block is computed, in towers,
// encoder, prompts and texts, alone and in company.
func TestStopsWithinALayer(t *testing.T) {
	long := &vlm.GenOptions{MaxTokens: 1000, Temperature: 50}
	for name, c := range map[string]struct {
		matrix string
		rows   int
	}{"tower": {inTower, 0}, "encoder": {inEncoder, 0}, "prompt": {inDecoder, 0}, "text": {inDecoder, 1}} {
		t.Run(name, func(t *testing.T) {
			var p trap
			s := stream(t, p.model(t))
			ctx, cancel := context.WithCancel(t.Context())
			p.set(c.matrix, c.rows, cancel)
			err := s.See(ctx, picture(1))
			if err == nil {
				_, err = s.Answer(ctx, "what?", long)
			}
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			p.check(t)
		})
	}
	// Towers take as many pictures at a time as have a thousand tokens: some of these come
	// after the first of them.
	for _, matrix := range []string{"blocks.0.attn.qkv.weight", "blocks.0.attn.proj.weight", "blocks.1.attn.proj.weight", "blocks.1.mlp.lin1.weight", "neck.0.weight"} {
		t.Run("SAM "+matrix, func(t *testing.T) {
			var p trap
			s := stream(t, p.samModel(t))
			ctx, cancel := context.WithCancel(t.Context())
			p.set("vit.sam_featurizer."+matrix, 0, cancel)
			if err := s.See(ctx, picture(1), picture(2), picture(3), picture(4), picture(5), picture(6)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			p.check(t)
		})
	}
	t.Run("company", func(t *testing.T) {
		var p trap
		m := p.model(t)
		release := m.HoldPasses()
		var cancels [2]context.CancelFunc
		var group sync.WaitGroup
		for i := range cancels {
			var ctx context.Context
			ctx, cancels[i] = context.WithCancel(t.Context())
			s := stream(t, m)
			see(t, s, 1)
			group.Go(func() {
				if _, err := s.Answer(ctx, "what?", long); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		p.set(inDecoder, 2, func() { cancels[0](); cancels[1]() })
		release(2)
		group.Wait()
		p.check(t)
	})
	t.Run("waiting", func(t *testing.T) {
		m := open(t, deep, nil)
		s := stream(t, m)
		see(t, s, 1)
		release := m.HoldPasses()
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := s.Answer(ctx, "what?", long); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		m.AwaitWaiting(1)
		cancel()
		release(1)
		group.Wait()
		if n, _ := m.Passes(); n != 0 {
			t.Errorf("%d passes for a question that was given up", n)
		}
	})
}

// tapped is a model that tells a context before it computes under it.
type tapped struct {
	edge.Model
	told func(context.Context)
}

func (m tapped) NewStream() (edge.Stream, error) {
	s, err := m.Model.NewStream()
	return tap{s, m.told}, err
}

type tap struct {
	edge.Stream
	told func(context.Context)
}

func (s tap) See(ctx context.Context, views []image.Image) (vision, encode time.Duration, err error) {
	s.told(ctx)
	return s.Stream.See(ctx, views)
}

func (s tap) Generate(ctx context.Context, question string) iter.Seq2[string, error] {
	s.told(ctx)
	return s.Stream.Generate(ctx, question)
}

// still is a camera that gives one picture.
type still struct{ given bool }

func (s *still) Next(ctx context.Context) (camera.Frame, error) {
	if s.given {
		<-ctx.Done()
		return camera.Frame{}, ctx.Err()
	}
	s.given = true
	return camera.NewFrame(picture(1), time.Now(), 1, nil), nil
}

func (s *still) Close() error { return nil }

// TestClientsEndWork: whatever ends a question, or the daemon, its work ends within a layer.
func TestClientsEndWork(t *testing.T) {
	const (
		cancels = iota // the client sends that it does not want the answer
		leaves         // the client closes the connection
		waits          // the deadline of the question passes
		stops          // the daemon stops
	)
	for name, c := range map[string]struct {
		matrix string
		rows   int
		end    int
	}{
		"cancelled prompt": {inDecoder, 0, cancels},
		"cancelled text":   {inDecoder, 1, cancels},
		"left prompt":      {inDecoder, 0, leaves},
		"left text":        {inDecoder, 1, leaves},
		"late prompt":      {inDecoder, 0, waits},
		"late text":        {inDecoder, 1, waits},
		"stopped text":     {inDecoder, 1, stops},
		"stopped tower":    {inTower, 0, stops},
		"stopped encoder":  {inEncoder, 0, stops},
	} {
		t.Run(name, func(t *testing.T) {
			var p trap
			var working context.Context // under which the stream computes; guarded by p.mu
			socket := filepath.Join(t.TempDir(), "s")
			d, err := edge.New(edge.Config{
				Model: tapped{edge.VLM(p.model(t)), func(ctx context.Context) {
					p.mu.Lock()
					defer p.mu.Unlock()
					working = ctx
				}},
				Socket: socket,
				Scenes: []edge.Scene{{Views: []camera.View{{Name: "v", Source: &still{}}}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			closed := make(chan struct{})
			stop := sync.OnceFunc(func() {
				defer close(closed)
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var asking *client.Client
			spring := func() {
				switch c.end {
				case cancels:
					cancel()
				case leaves:
					asking.Close()
				case stops:
					go stop()
				}
				select {
				case <-working.Done():
				case <-time.After(time.Minute):
					t.Error("the context of the work did not end")
				}
			}
			if c.matrix != inDecoder {
				p.set(c.matrix, c.rows, spring)
			}
			if err := d.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.matrix == inDecoder {
				if asking, err = client.Dial(t.Context(), socket, nil); err != nil {
					t.Fatal(err)
				}
				defer asking.Close()
				awaitCaption(t, asking)
				p.set(c.matrix, c.rows, spring)
				q := &wire.Ask{Question: "what?"}
				if c.end == waits {
					q.Deadline = 100
				}
				for err = askOver(ctx, asking, q); err != nil && !p.done() && c.end == waits; err = askOver(ctx, asking, q) {
					q.Deadline *= 2 // too slow a machine to come as far
				}
				if err == nil {
					t.Error("the question was answered")
				}
				if c.end == waits && wire.Code(err) != wire.CodeDeadline {
					t.Error(err)
				}
			}
			if c.end != stops {
				go stop()
			}
			select {
			case <-closed:
			case <-time.After(time.Minute):
				t.Error("the daemon did not stop, or nothing was computed that stops it")
				stop()
			}
			p.check(t)
		})
	}
}

// awaitCaption waits until a scene has looked and said what it saw.
func awaitCaption(t *testing.T, c *client.Client) {
	t.Helper()
	for e, err := range c.Watch(t.Context(), &wire.Watch{From: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption {
			return
		}
	}
}

func askOver(ctx context.Context, c *client.Client, q *wire.Ask) (err error) {
	for _, err = range c.Ask(ctx, q) {
	}
	return err
}
