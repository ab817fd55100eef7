package quant

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Compensation is what a Hessian says about rounding a matrix with errors that make up
// for each other, as GPTQ does it. With the Hessian H = LLᵀ the squared error of a row's
// products is |(w - ŵ)L|²: its term k depends on column k and those after it only. So
// columns are rounded from the last to the first, each to what makes its own term small
// given the errors made so far (Babai's nearest plane; the inverse of H is not needed).
// The columns whose inputs are largest come first, while many are left to make up for
// them.
type Compensation struct {
	size   int
	order  []int     // column at each position; positions are rounded from the last to the first
	pivot  []float32 // L[k,k] by position
	weight []float32 // its square by column: what an error counts that nothing makes up for
	steps  []compensationStep
}

// compensationStep is compensationWidth positions that are rounded one by one, from k on.
type compensationStep struct {
	k     int
	below []float32 // of each chunk from the one of the position after the step on, [positions of the step, chunk]: L transposed
	own   []float32 // [positions, positions]: L within the step
}

const (
	compensationWidth = 32
	compensationChunk = 512 // positions whose part of a step, and of a row tile's errors, stay in a core's cache
)

// chunks calls f with the first position and the length of each chunk from the one of
// position from on, of rows with stored columns.
func chunks(from, stored int, f func(at, n int)) {
	for at := from / compensationChunk * compensationChunk; at < stored; at += compensationChunk {
		f(at, min(compensationChunk, stored-at))
	}
}

// damping is the share of the mean square of the inputs that is added to each: directions
// that were never seen still count.
const damping = 0.01

// NewCompensation prepares for rounding the rows of matrices that are multiplied with the
// vectors of h, which it spends. It fails when there were none, or when they are not
// finite.
func NewCompensation(h *Hessian) (*Compensation, error) {
	h.flush()
	d, mean := h.diagonal()
	if h.count == 0 || mean == 0 {
		return nil, fmt.Errorf("no inputs in %d vectors", h.count)
	}
	if mean-mean != 0 {
		return nil, errors.New("inputs are not finite")
	}
	n := h.size
	c := &Compensation{size: n, order: make([]int, n), pivot: make([]float32, n), weight: make([]float32, n)}
	for i := range c.order {
		c.order[i] = i
	}
	slices.SortStableFunc(c.order, func(a, b int) int { return cmp.Compare(d[a], d[b]) })
	// Scaled to a mean of 1, sums over any number of inputs of any size are far from the
	// limits of single precision.
	l, scale := make([]float32, at(n, 0)), float32(1/mean)
	pool := h.scratch.pool
	pool.Run(n, func(i int) {
		a := c.order[i]
		row := l[at(i, 0):][:i+1]
		for j := range row {
			b := c.order[j]
			row[j] = h.sum[at(max(a, b), min(a, b))] * scale
		}
		row[i] += damping
	})
	h.sum, h.rows = nil, nil
	cholesky(l, n, damping, h.scratch)
	for k := range n {
		p := l[at(k, k)]
		c.pivot[k], c.weight[c.order[k]] = p, p*p
	}
	c.steps = make([]compensationStep, (n+compensationWidth-1)/compensationWidth)
	pool.Run(len(c.steps), func(i int) {
		k := i * compensationWidth
		w := min(compensationWidth, n-k)
		s := compensationStep{k: k, own: make([]float32, w*w)}
		for i := range w {
			copy(s.own[i*w:][:i+1], l[at(k+i, k):])
		}
		if k+w < n {
			chunks(k+w, StoredCols(n), func(from, length int) {
				below := make([]float32, w*length)
				for i := max(from, k+w); i < min(from+length, n); i++ {
					for j, v := range l[at(i, k):][:w] {
						below[j*length+i-from] = v
					}
				}
				s.below = append(s.below, below...)
			})
		}
		c.steps[i] = s
	})
	return c, nil
}
