package decoder

import (
	"context"
	"fmt"

	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// Prompt is a sequence of token ids in which one id keeps the places of image
// tokens.
type Prompt struct {
	IDs []int

	// The i-th ImageID is replaced by row i of Rows [n, C]. With ImageID < 0
	// nothing is replaced.
	ImageID int
	Rows    []float32
}

// Prefill runs the prompt through the blocks, [rwkv.MaxRows] tokens at a
// time, and advances s. If logits is not nil it receives the logits of the
// last position [Vocab]. image is S_img.
//
// Fewer rows than places for them is an error; surplus rows are ignored. When ctx
// ends Prefill stops; s is then of no more use.
//
// A bidirectional decoder must have a prompt with a picture whole, from the start of a
// sequence, and it takes one picture and [MaxBidirectional] tokens at most.
func (m *Decoder) Prefill(ctx context.Context, w *rwkv.Work, s *rwkv.State, image []float32, p Prompt, logits []float32) error {
	if m.bidirectional {
		return m.prefillBidirectional(ctx, w, s, p, logits)
	}
	return m.read(ctx, w, s, image, p, func(x []float32, n int, last bool) {
		if last && logits != nil {
			m.Logits(w, logits, x[(n-1)*m.Dims().C:], 1)
		}
	})
}

// Follow feeds ids to a sequence as [Decoder.Step] would one by one, many at a time, and calls
// f with the logits [Vocab] after each, which are borrowed for the call. The bits are those of
// Step.
func (m *Decoder) Follow(ctx context.Context, w *rwkv.Work, s *rwkv.State, image []float32, ids []int, f func(logits []float32)) error {
	out := make([]float32, min(len(ids), rwkv.MaxRows)*m.vocab)
	return m.read(ctx, w, s, image, Prompt{IDs: ids, ImageID: -1}, func(x []float32, n int, _ bool) {
		m.Logits(w, out, x, n)
		for i := range n {
			f(out[i*m.vocab:][:m.vocab])
		}
	})
}

// read runs the prompt through the blocks, [rwkv.MaxRows] tokens at a time, and calls f with
// the n rows x [n, C] that they leave, which it may overwrite.
func (m *Decoder) read(ctx context.Context, w *rwkv.Work, s *rwkv.State, image []float32, p Prompt, f func(x []float32, n int, last bool)) error {
	c := m.Dims().C
	rows := p.Rows
	segs := w.Segs(1)
	for ids := p.IDs; len(ids) > 0; {
		n := min(len(ids), rwkv.MaxRows)
		x := w.Rows(n, c)
		var err error
		if rows, err = m.fill(x, ids[:n], p, rows); err != nil {
			return err
		}
		segs[0] = rwkv.Seg{N: n, State: s, Image: image}
		if err := m.Forward(ctx, w, x, segs); err != nil {
			return err
		}
		ids = ids[n:]
		f(x, n, len(ids) == 0)
	}
	return nil
}

// fill writes the embeddings of ids, some of those of p, to x, and in the places kept for
// image tokens the next of rows, of which it returns the rest.
func (m *Decoder) fill(x []float32, ids []int, p Prompt, rows []float32) ([]float32, error) {
	c := m.Dims().C
	for i, id := range ids {
		dst := x[i*c : (i+1)*c]
		if p.ImageID < 0 || id != p.ImageID {
			if err := m.Embed(dst, id); err != nil {
				return nil, err
			}
			continue
		}
		if len(rows) < c {
			return nil, fmt.Errorf("prompt has places for more image tokens than the %d given", len(p.Rows)/c)
		}
		copy(dst, rows[:c])
		rows = rows[c:]
	}
	return rows, nil
}

// Seq is one sequence being decoded.
type Seq struct {
	State  *rwkv.State
	Image  []float32 // S_img
	Token  int       // the token to feed
	Logits []float32 // [Vocab], what follows it; written by Step
}

// Step feeds one token to each sequence, reading every weight once for all of
// them. There may be at most [rwkv.MaxRows]. out is scratch of [len(seqs),
// Vocab] unless there is one sequence.
func (m *Decoder) Step(ctx context.Context, w *rwkv.Work, seqs []Seq, out []float32) error {
	if len(seqs) > rwkv.MaxRows {
		return fmt.Errorf("%d sequences at once, at most %d", len(seqs), rwkv.MaxRows)
	}
	c, n := m.Dims().C, len(seqs)
	x := w.Rows(n, c)
	segs := w.Segs(n)
	for i := range seqs {
		q := &seqs[i]
		if err := m.Embed(x[i*c:(i+1)*c], q.Token); err != nil {
			return err
		}
		segs[i] = rwkv.Seg{N: 1, State: q.State, Image: q.Image}
	}
	if err := m.Forward(ctx, w, x, segs); err != nil {
		return err
	}
	if n == 1 {
		m.Logits(w, seqs[0].Logits, x, 1)
		return nil
	}
	m.Logits(w, out, x, n)
	for i := range seqs {
		copy(seqs[i].Logits, out[i*m.vocab:])
	}
	return nil
}
