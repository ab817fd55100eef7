package rwkv

import "github.com/visualrwkv/edged/quant"

// MaxRows is how many rows [Block.Forward] takes at once, the unit in which
// prompts and image tokens are worked off. More rows read the weights less
// often; the buffers of [Work] grow with it.
const MaxRows = 64

// Seg is one sequence's share of the rows given to [Block.Forward].
type Seg struct {
	N     int       // rows, consecutive tokens of the sequence
	State *State    // of the whole stack, advanced by N tokens
	Image []float32 // S_img [H,N,N], read only; nil is the zero state
}

// Tracer receives intermediate values, for verification: rows one after
// another, valid during the call only. name is the part after "b0." in the
// reference vectors.
type Tracer func(layer int, name string, rows []float32)

// Work holds the buffers for one caller of [Block.Forward]. They grow to what
// is asked of them once; after that nothing is allocated.
type Work struct {
	scratch *quant.Scratch
	trace   Tracer

	x, h, prev, in, eps []float32 // [rows, C]: inputs of matrix products
	r, k, v, g, w, y    []float32 // [rows, C]: their results
	q, gm               []float32 // [rows, C]: of a read of the image state
	a, kappa, first     []float32 // [rows, C]: of RWKV-7; first holds the values of block 0
	z, zb               []float32 // [rows, LoRA width]
	f                   []float32 // [rows, F]

	segs  []Seg
	wkv   wkvJob
	delta deltaJob
	read  readJob
	low   lowRankJob
}

// NewWork returns buffers whose matrix products run on the workers of s.
// trace may be nil.
func NewWork(s *quant.Scratch, trace Tracer) *Work {
	w := &Work{scratch: s, trace: trace}
	// Method values are made once: one per call would be an allocation per
	// layer and token.
	w.wkv.run = w.wkv.head
	w.delta.run = w.delta.head
	w.read.run = w.read.head
	w.low.run = w.low.strip
	return w
}

// Scratch returns what the matrix products of w run on.
func (w *Work) Scratch() *quant.Scratch { return w.scratch }

// need makes room for n rows of a block of sizes d with LoRAs up to lora wide, except in
// what not all variants use.
func (w *Work) need(n int, d Dims, lora int) {
	for _, p := range []*[]float32{&w.h, &w.prev, &w.in, &w.eps, &w.r, &w.k, &w.v, &w.g, &w.w, &w.y} {
		grow(p, n*d.C)
	}
	grow(&w.z, n*lora)
	grow(&w.zb, n*lora)
	grow(&w.f, n*d.F)
}

// Rows returns a buffer of n rows of width c that no block uses: the residual
// stream of whoever drives the blocks.
func (w *Work) Rows(n, c int) []float32 {
	grow(&w.x, n*c)
	return w.x
}

// Segs returns a list of n to fill in and give to [Block.Forward]: one made on
// the caller's stack would have to move to the heap each time.
func (w *Work) Segs(n int) []Seg {
	if cap(w.segs) < n {
		w.segs = make([]Seg, n)
	}
	return w.segs[:n]
}

// grow makes *p n long, reusing what is there.
func grow(p *[]float32, n int) {
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	*p = (*p)[:n]
}

// WorkBytes estimates the buffers of a Work that serves stacks of sizes d, in
// bytes.
func WorkBytes(d Dims) int64 {
	return 4 * MaxRows * (14*int64(d.C) + int64(d.F))
}
