package vision

import "github.com/visualrwkv/edged/quant"

// Work is the working memory of one goroutine's computations. Its buffers grow
// to the largest picture seen; after that nothing is allocated.
type Work struct {
	// Trace, when set, is called with intermediate values: "embed" and "block0",
	// "block1", ... as [pictures, tokens, channels], SAM's "neck" as [pictures,
	// channels, grid, grid], and a projector's input and output as "proj.in" and
	// "proj.out" [rows, channels]. data is valid during the call. Work that is done in parts is reported in parts.
	Trace func(name string, shape []int, data []float32)

	scratch *quant.Scratch

	x   []float32 // [rows, D]: the residual stream
	h   []float32 // [rows, D]: normed input of a sub-layer, output of attention
	big []float32 // [rows, 3D]: query, key, value; then outputs to be added to x
	hid []float32 // [chunk, F]: hidden units of the feed-forward layer

	rows    rowJob
	attend  attendJob
	windows windowJob
}

// NewWork returns working memory whose products run on the workers of s. s must
// not be in use elsewhere during a computation.
func NewWork(s *quant.Scratch) *Work {
	w := &Work{scratch: s}
	// Method values are made once: one per call would be an allocation.
	w.rows.run = w.rows.strip
	w.attend.run, w.attend.runGather = w.attend.tile, w.attend.gather
	w.attend.scores = make(chan []float32, s.Pool().Workers())
	for range s.Pool().Workers() {
		w.attend.scores <- nil
	}
	w.windows.run = w.windows.band
	w.windows.buffers = newWindowBuffers(s.Pool())
	return w
}

// grow makes *p n long, reusing what is there; the contents are undefined.
func grow(p *[]float32, n int) []float32 {
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	*p = (*p)[:n]
	return *p
}

func (w *Work) traceTokens(name string, n, tokens, dim int) {
	if w.Trace != nil {
		w.Trace(name, []int{n, tokens, dim}, w.x)
	}
}

func (w *Work) traceRows(name string, data []float32, dim int) {
	if w.Trace != nil {
		w.Trace(name, []int{len(data) / dim, dim}, data)
	}
}
