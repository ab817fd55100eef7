package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/weights"
)

// errNoTower is the error for a model file without vision.
var errNoTower = fmt.Errorf("the model has no vision tower: %w", vlm.ErrConfig)

// vision measures a tower: normalised pixels to the features of its last block,
// one picture at a time. In a model file it is the tower of that model, up to the
// block that it uses.
func (b *bencher) vision(ctx context.Context, name string) error {
	var shape Tower
	path, err := b.file(ctx, func() (m modelFile, err error) {
		shape, err = ParseTower(name)
		return towerFile(shape, b.Type, b.Pure), err
	})
	if err != nil {
		return err
	}
	f, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	tower, err := b.tower(f, shape)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p, err := b.towerPeer(ctx, shape)
	if err != nil {
		return err
	}
	pool := quant.NewPool(b.Threads)
	defer pool.Close()
	scratch := quant.NewScratch(pool)
	work := vision.NewWork(scratch)

	pixels := make([]float32, 3*tower.ImageSize()*tower.ImageSize())
	r := newNoise("picture")
	for i := range pixels {
		pixels[i] = float32(r.unit())
	}
	features := make([]float32, tower.Tokens()*tower.Dim())
	look := func(ctx context.Context) (time.Duration, error) {
		scratch.Until(ctx.Done()) // a large tower takes long on a small machine
		defer scratch.Until(nil)
		begin := time.Now()
		tower.Forward(work, features, tower.Dim(), pixels, 1)
		return time.Since(begin), ctx.Err()
	}
	s := &subject{row: b.row(Vision, name, b.Type.String()), passes: 1, run: look, peer: p}
	s.row.ModelBytes = f.Size()
	if b.Model != "" {
		s.row.Type, s.row.Note = mainType(f), tower.Name()
	}
	s.warm = func(ctx context.Context) error {
		_, err := look(ctx)
		return err
	}
	return b.measure(ctx, []*subject{s})
}

func (b *bencher) tower(f *weights.File, shape Tower) (vision.Tower, error) {
	kind, c := shape.Kind, vlm.Tower{ImageSize: shape.Image, Heads: shape.Heads, FeatureBlock: shape.Depth - 1, Activation: shape.Activation}
	if b.Model != "" {
		config, err := vlm.Describe(f, nil, nil)
		if err != nil {
			return nil, err
		}
		if len(config.Towers) == 0 {
			return nil, errNoTower
		}
		c = config.Towers[0]
		kind = c.Kind
	}
	act, err := vision.ParseActivation(c.Activation)
	if err != nil {
		return nil, err
	}
	return vision.Open(kind, tensors.New(f), vision.Config{
		ImageSize: c.ImageSize, Heads: c.Heads, FeatureBlock: c.FeatureBlock, Activation: act,
	})
}
