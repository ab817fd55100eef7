package quant

import (
	"math"

	"github.com/visualrwkv/edged/kernels"
)

// choleskyBlock is how many columns are factored together.
const choleskyBlock = 128

// cholesky overwrites a, the lower triangle of a matrix of n x n, with its factor L,
// a = LLᵀ. a must be the sum of a positive semidefinite matrix and least times the
// identity: then no square of a pivot is smaller than least, and one that rounding made
// so is set to it.
func cholesky(a []float32, n int, least float64, s *Scratch) {
	var diagonal [choleskyBlock * choleskyBlock]float64
	minus := make([]float32, hessianRows*choleskyBlock)
	for k := 0; k < n; k += choleskyBlock {
		b := min(choleskyBlock, n-k)
		factorDiagonal(a, diagonal[:], k, b, least)
		m := n - k - b // rows below
		panel := grown(&s.columns, m*b)
		s.pool.Run(m, func(i int) {
			row := a[at(k+b+i, k):][:b]
			solveRow(row, diagonal[:], b)
			copy(panel[i*b:], row)
		})
		for r := 0; r < m; r += hessianRows {
			rows := min(hessianRows, m-r)
			neg := minus[:rows*b]
			for i, v := range panel[r*b:][:rows*b] {
				neg[i] = -v
			}
			p := grown(&s.squares, rows*(r+rows))
			FromF32(r+rows, b, panel[:(r+rows)*b]).Mul(s, p, neg, rows)
			s.pool.Run(rows, func(i int) {
				row := a[at(k+b+r+i, k+b):][:r+i+1]
				kernels.Add(row, row, p[i*(r+rows):][:r+i+1])
			})
		}
	}
}

// factorDiagonal factors the block of b rows and columns from k on, and leaves the factor
// in l [b, b] too.
func factorDiagonal(a []float32, l []float64, k, b int, least float64) {
	for i := range b {
		row := a[at(k+i, k):]
		for j := range i + 1 {
			v := float64(row[j])
			for x := range j {
				v -= float64(l[i*b+x] * l[j*b+x])
			}
			if i == j {
				v = math.Sqrt(max(v, least))
			} else {
				v /= l[j*b+j]
			}
			l[i*b+j], row[j] = v, float32(v)
		}
	}
}

// solveRow replaces row x by y with y Lᵀ = x, for the factor l of a diagonal block.
func solveRow(x []float32, l []float64, b int) {
	var y [choleskyBlock]float64
	for j := range b {
		v := float64(x[j])
		for k, w := range l[j*b : j*b+j] {
			v -= float64(w * y[k])
		}
		y[j] = v / l[j*b+j]
		x[j] = float32(y[j])
	}
}
