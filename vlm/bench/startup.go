package bench

import (
	"context"
	"time"

	"github.com/visualrwkv/edged/vlm"
)

// startup measures from the opening of a file that is in the page cache to the
// first logits: what [vlm.Open] does, and a pass through a fresh mapping of the
// file. A prompt is not part of it.
func (b *bencher) startup(ctx context.Context) error {
	path, err := b.languageFile(ctx)
	if err != nil {
		return err
	}
	s := &subject{passes: 1}
	s.run = func(ctx context.Context) (time.Duration, error) {
		begin := time.Now()
		model, err := vlm.Open(path, &vlm.Options{Threads: b.Threads})
		opening := time.Since(begin)
		if err != nil {
			return 0, err
		}
		if err := model.Close(); err != nil {
			return 0, err
		}
		m, err := openLanguage(path, b.Threads)
		if err != nil {
			return 0, err
		}
		defer m.close()
		row := b.subject(m, Startup, 1).row
		begin = time.Now()
		m.sequences(1)
		if err := m.dec.Step(ctx, m.work, m.seqs[:1], nil); err != nil {
			return 0, err
		}
		d := opening + time.Since(begin)
		row.Tokens, row.RSS = 1, resident()
		s.row = row
		return d, nil
	}
	s.row = b.row(Startup, b.Shape, b.Type.String())
	return b.measure(ctx, []*subject{s})
}
