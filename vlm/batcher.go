package vlm

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/visualrwkv/edged/internal/fault"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// batch is how many answers are decoded in one pass over the weights.
const batch = 8

// patienceMax bounds how long a pass waits for sequences that are between two
// tokens; a reader of an answer who stalls holds up the others no longer.
const patienceMax = 2 * time.Millisecond

// batcher decodes the answers of all streams of a model together: sequences
// join and leave at any token, and one pass over the weights serves up to
// eight. What a sequence computes does not depend on its company, bit for bit.
type batcher struct {
	dec *decoder.Decoder

	mu      sync.Mutex
	joined  int     // sequences that will want another token soon
	waiting []*turn // sequences that want one now, in order of arrival
	running bool    // somebody owns the fields below
	arrived chan struct{}

	work   *rwkv.Work
	batch  []*turn
	until  pass
	seqs   []decoder.Seq
	logits []float32     // [batch, Vocab]
	took   time.Duration // the newest pass
	passes uint64        // for tests: passes made, and tokens in them
	tokens uint64
}

// turn is one sequence's wish for the logits after a token.
type turn struct {
	ctx  context.Context
	seq  decoder.Seq
	done chan error
}

// pass is the context of one pass: it ends when those of all its sequences have, so that
// nobody's end costs the others theirs. Of sequences with several contexts it has no Done:
// the decoder asks Err before each layer.
type pass struct {
	context.Context
	turns []*turn
}

// Err implements [context.Context].
func (p *pass) Err() (err error) {
	for _, t := range p.turns {
		if err = t.ctx.Err(); err == nil {
			return nil
		}
	}
	return err
}

// Done implements [context.Context].
func (p *pass) Done() <-chan struct{} {
	done := p.turns[0].ctx.Done()
	for _, t := range p.turns[1:] {
		if t.ctx.Done() != done {
			return nil
		}
	}
	return done
}

func newBatcher(dec *decoder.Decoder, pool *quant.Pool) *batcher {
	return &batcher{
		dec:     dec,
		arrived: make(chan struct{}, 1),
		until:   pass{Context: context.Background()},
		work:    rwkv.NewWork(quant.NewScratch(pool), nil),
	}
}

// join announces n sequences that are about to call step for each token;
// leave takes them back.
func (b *batcher) join(n int) {
	b.mu.Lock()
	b.joined += n
	b.mu.Unlock()
}

func (b *batcher) leave(n int) {
	b.join(-n)
	b.wake()
}

func (b *batcher) wake() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// step computes the turns' logits, in company when there is some, and returns
// when all are there. When ctx ends, a pass that nobody else needs stops before the next
// layer, and none is begun for the turns; one for others too is finished first.
func (b *batcher) step(ctx context.Context, turns []*turn) error {
	for _, t := range turns {
		t.ctx = ctx
	}
	b.mu.Lock()
	if !b.running && len(turns) == b.joined {
		b.running = true
		b.mu.Unlock()
		err := b.decode(turns)
		b.mu.Lock()
		b.rest()
		b.mu.Unlock()
		return err
	}
	b.waiting = append(b.waiting, turns...)
	if !b.running {
		b.running = true
		go b.run()
	}
	b.mu.Unlock()
	b.wake()
	var err error
	for _, t := range turns {
		if e := <-t.done; e != nil {
			err = e
		}
	}
	if ended := ctx.Err(); ended != nil { // err may be about somebody else's
		err = ended
	}
	return err
}

// rest ends a time of running; whoever has come meanwhile is served by a
// goroutine that lives while somebody waits. The lock is held.
func (b *batcher) rest() {
	b.running = len(b.waiting) > 0
	if b.running {
		go b.run()
	}
}

func (b *batcher) run() {
	defer fault.Explain(debug.SetPanicOnFault(true))
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	b.mu.Lock()
	for len(b.waiting) > 0 {
		b.gather(timer)
		b.waiting = slices.DeleteFunc(b.waiting, (*turn).ended)
		if len(b.waiting) == 0 {
			break
		}
		n := copy(grow(&b.batch, batch), b.waiting)
		turns := b.batch[:n]
		rest := copy(b.waiting, b.waiting[n:])
		clear(b.waiting[rest:])
		b.waiting = b.waiting[:rest]
		b.mu.Unlock()
		err := b.decode(turns)
		for _, t := range turns {
			t.done <- err
		}
		b.mu.Lock()
	}
	b.running = false
	b.mu.Unlock()
}

// ended gives up a turn whose context has ended, and reports whether it did.
func (t *turn) ended() bool {
	err := t.ctx.Err()
	if err != nil {
		t.done <- err
	}
	return err != nil
}

// gather waits a little for sequences that have joined but are still choosing
// their token or writing it out. The lock is held, and given up meanwhile.
func (b *batcher) gather(timer *time.Timer) {
	timer.Reset(min(b.took/4, patienceMax))
	for len(b.waiting) < min(b.joined, batch) {
		b.mu.Unlock()
		var late bool
		select {
		case <-b.arrived:
		case <-timer.C:
			late = true
		}
		b.mu.Lock()
		if late {
			return
		}
	}
}

// decode makes one pass.
func (b *batcher) decode(turns []*turn) error {
	start := time.Now()
	b.until.turns = turns
	b.seqs = b.seqs[:0]
	for _, t := range turns {
		b.seqs = append(b.seqs, t.seq)
	}
	err := b.dec.Step(&b.until, b.work, b.seqs, grow(&b.logits, len(turns)*b.dec.Vocab()))
	clear(b.seqs)
	b.took = time.Since(start)
	b.passes++
	b.tokens += uint64(len(turns))
	return err
}
