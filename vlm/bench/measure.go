package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// threads is the default: one per CPU that the process may use.
func threads() int { return runtime.GOMAXPROCS(0) }

// subject is something to be timed.
type subject struct {
	row    Row
	tokens int // of all sequences in a run
	passes int // what Row.MS counts in a run
	bytes  int64
	warm   func(ctx context.Context) error // a short run before the first
	run    func(ctx context.Context) (time.Duration, error)
	peer   *peer

	times  []time.Duration
	theirs []time.Duration // the peer's runs
}

// measure runs all subjects in rounds, one after another, so that what disturbs
// the machine disturbs all of them alike, and emits their rows.
func (b *bencher) measure(ctx context.Context, subjects []*subject) error {
	for _, s := range subjects {
		if s.warm == nil {
			continue
		}
		if err := s.warm(ctx); err != nil {
			return err
		}
		if len(subjects) > 1 && s.row.RSS == 0 {
			s.row.RSS = resident() // before the next one takes more
		}
	}
	for i := range b.Runs {
		for _, s := range subjects {
			b.Tell(fmt.Sprintf("%s, run %d of %d", s.label(), i+1, b.Runs))
			d, err := s.run(ctx)
			if err != nil {
				return err
			}
			s.times = append(s.times, d)
			if s.peer == nil {
				continue
			}
			if d, err = s.peer.run(ctx, &s.row); err != nil {
				return err
			}
			s.theirs = append(s.theirs, d)
		}
	}
	for _, s := range subjects {
		if s.row.RSS == 0 {
			s.row.RSS = resident()
		}
		b.emit(s.result())
	}
	return nil
}

func (s *subject) label() string {
	r := &s.row
	text := fmt.Sprintf("%s %s %s", r.What, r.Shape, r.Type)
	if r.Batch > 1 {
		text += fmt.Sprintf(", %d sequences", r.Batch)
	}
	if r.Context > 0 {
		text += fmt.Sprintf(", after %d tokens", r.Context)
	}
	return text
}

// result computes the row.
func (s *subject) result() Row {
	r := s.row
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 / float64(s.passes) }
	d := median(s.times)
	r.MS, r.MSMin, r.MSMax = ms(d), ms(slices.Min(s.times)), ms(slices.Max(s.times))
	if d > 0 {
		r.TokS = float64(s.tokens) / d.Seconds()
		r.WeightGBs = float64(s.bytes) * float64(s.passes) / d.Seconds() / 1e9
	}
	if s.peer == nil {
		return r
	}
	ratios := make([]float64, len(s.theirs))
	for i, theirs := range s.theirs {
		ratios[i] = theirs.Seconds() / s.times[i].Seconds()
	}
	theirs := median(s.theirs)
	r.Peer = &PeerRow{TokS: float64(s.tokens) / theirs.Seconds(), MS: ms(theirs), Ratio: median(ratios),
		RSS: s.peer.rss, ModelBytes: s.peer.bytes, Model: filepath.Base(s.peer.model)}
	return r
}

// median returns the middle value, of an even number the mean of two.
func median[T time.Duration | float64](v []T) T {
	v = slices.Sorted(slices.Values(v))
	m := len(v) / 2
	if len(v)%2 == 1 {
		return v[m]
	}
	return (v[m-1] + v[m]) / 2
}
