package vision

import "github.com/visualrwkv/edged/quant"

// neck is what follows SAM's blocks: convolutions of 1 x 1 and 3 x 3 without bias, a norm
// over the channels after each; section 7.
type neck struct {
	conv1 *quant.Matrix // [out, dim]
	norm1 norm
	conv3 *quant.Matrix // [out, 3*3*out], tap before channel: see patches3
	norm3 norm
}

func bindNeck(b *binder, dim int, eps float32) neck {
	k := neck{conv1: b.matrix("0.weight", -1, dim)}
	if b.err != nil {
		return k
	}
	out := k.out()
	k.norm1 = b.norm("1", out, eps)
	w := b.vector("2.weight", out*out*9)
	k.norm3 = b.norm("3", out, eps)
	if b.err == nil {
		k.conv3 = quant.FromF32(out, 9*out, tapsFirst(w, out))
	}
	return k
}

// tapsFirst turns the weight of a convolution [out, out, 3, 3] into [out, 3, 3, out], so that
// all channels of a cell are copied at once.
func tapsFirst(w []float32, out int) []float32 {
	t := make([]float32, len(w))
	for o := range out {
		for c := range out {
			for i := range 9 {
				t[(o*9+i)*out+c] = w[(o*out+c)*9+i]
			}
		}
	}
	return t
}

// out returns the number of channels of the result.
func (k *neck) out() int { return k.conv1.Rows() }

// neckCells is how many cells, in whole lines of the grid, pass through the second
// convolution at once: each is a row of 9*out values, and all of a picture would take more
// memory than the rest of the tower.
const neckCells = 256

// forward returns the neck's output [n*grid*grid, out] for the rows of w.x.
func (k *neck) forward(w *Work, n, grid int) []float32 {
	out, cells := k.out(), grid*grid
	y := grow(&w.big, n*cells*out)
	w.mul(k.conv1, y, w.x, n*cells)
	w.norm(y, y, &k.norm1)

	z := grow(&w.h, n*cells*out)
	step := max(1, neckCells/grid)
	for i := range n {
		src, dst := y[i*cells*out:][:cells*out], z[i*cells*out:][:cells*out]
		for l := 0; l < grid; l += step {
			lines := min(step, grid-l)
			rows := grow(&w.hid, lines*grid*9*out)
			patches3(rows, src, grid, out, l, lines)
			w.mul(k.conv3, dst[l*grid*out:][:lines*grid*out], rows, lines*grid)
		}
	}
	w.norm(z, z, &k.norm3)
	if w.Trace != nil {
		w.Trace("neck", []int{n, out, grid, grid}, channelsFirst(z, cells, out))
	}
	return z
}

// patches3 cuts the surroundings of 3 x 3 cells of each cell in some lines of a grid, zero
// beyond its edges: src [grid, grid, c], dst [lines*grid, 9*c].
func patches3(dst, src []float32, grid, c, first, lines int) {
	for y := first; y < first+lines; y++ {
		for x := range grid {
			for dy := -1; dy <= 1; dy++ {
				d := dst[:3*c]
				dst = dst[3*c:]
				if y+dy < 0 || y+dy >= grid {
					clear(d)
					continue
				}
				lo, hi := max(x-1, 0), min(x+2, grid)
				at := (lo - x + 1) * c
				clear(d[:at])
				clear(d[at+copy(d[at:], src[((y+dy)*grid+lo)*c:((y+dy)*grid+hi)*c]):])
			}
		}
	}
}

// channelsFirst copies pictures of cells x c to c x cells, as the reference traces them.
func channelsFirst(x []float32, cells, c int) []float32 {
	t := make([]float32, len(x))
	for i := range x {
		p, cell, ch := i/(cells*c), i/c%cells, i%c
		t[(p*c+ch)*cells+cell] = x[i]
	}
	return t
}
