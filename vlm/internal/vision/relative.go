package vision

import (
	"math"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// relative is attention within square windows of a grid of tokens, with positions of
// keys relative to queries, taken apart into rows and columns; section 7. Windows at the
// lower and right edges reach beyond the grid: what is there is not computed, but its keys
// and values, the biases, take part. A window as large as the grid is attention among all.
type relative struct {
	side int // g, of a window, in tokens
	// down and right [2g-1, size of a head]: row j is for a key j-(g-1) tokens further
	// down, or to the right. The checkpoint has them in the other direction; in this one
	// the rows for the keys of a window follow each other.
	down, right []float32
}

// newRelative takes position embeddings [2g-1, size] as a checkpoint has them; it
// overwrites them.
func newRelative(h, w []float32, size int) *relative {
	reverseRows(h, size)
	reverseRows(w, size)
	return &relative{side: (len(h)/size + 1) / 2, down: h, right: w}
}

func reverseRows(x []float32, size int) {
	for a, b := 0, len(x)-size; a < b; a, b = a+size, b-size {
		for i := range size {
			x[a+i], x[b+i] = x[b+i], x[a+i]
		}
	}
}

// bandQueries bounds the queries of one strip of work, so that the few heads of attention
// among all tokens keep all workers busy. Each strip gathers keys and values anew, which is
// little beside a thousand queries.
const bandQueries = 1024

// windowJob is attention in the windows of several pictures, cut into bands of the queries
// of one head in one window.
type windowJob struct {
	run func(int)
	// buffers has one for every worker. A worker takes one for a band, so none ever waits.
	buffers chan *windowBuffers

	rel            *relative
	dst, qkv, bias []float32 // [pictures*grid*grid, dim], [.., 3*dim], [3*dim]
	grid, dim      int
	heads          int
	across         int // windows beside each other
	bands          int // of a window
}

// windowBuffers is what a worker needs for a head of size values in windows of g x g:
// g*g*(2*size+16) values and a little, 2.3 MB for the 64 x 64 grid of SAM.
type windowBuffers struct {
	kv     []float32 // [g*g, 2*size]: keys and values, with those beyond the grid
	q      []float32 // [queryTile, size]; then the results
	scores []float32 // [queryTile, g*g]
	down   []float32 // [queryTile, 2g-1]: scores of positions
	right  []float32
}

// windowAttention computes dst [n*grid*grid, dim] from qkv [n*grid*grid, 3*dim], whose rows
// are query, key and value, each head after head. bias [3*dim] is that of qkv. Pictures do
// not see each other.
func (w *Work) windowAttention(dst, qkv, bias []float32, n, grid, heads int, rel *relative) {
	j := &w.windows
	j.rel, j.dst, j.qkv, j.bias = rel, dst, qkv, bias
	j.grid, j.heads, j.dim = grid, heads, len(bias)/3
	j.across = (grid + rel.side - 1) / rel.side
	j.bands = (rel.side*rel.side + bandQueries - 1) / bandQueries
	w.scratch.Run(n*j.across*j.across*heads*j.bands, j.run)
	*j = windowJob{run: j.run, buffers: j.buffers} // keep nothing of the caller's alive
}

// window is one head of one window.
type window struct {
	first      int // row of the window's first token
	rows, cols int // tokens of the window that are in the grid
	head       int // column of the head's first value
}

func (j *windowJob) band(i int) {
	from := i % j.bands * bandQueries
	i /= j.bands
	size := j.dim / j.heads
	head := i % j.heads * size
	i /= j.heads
	x := i % j.across * j.rel.side
	i /= j.across
	y := i % j.across * j.rel.side
	i /= j.across
	win := window{(i*j.grid+y)*j.grid + x, min(j.rel.side, j.grid-y), min(j.rel.side, j.grid-x), head}

	to := min(from+bandQueries, win.rows*win.cols)
	if from >= to {
		return
	}
	b := <-j.buffers
	g := j.rel.side
	grow(&b.kv, g*g*2*size)
	grow(&b.q, queryTile*size)
	grow(&b.scores, queryTile*g*g)
	grow(&b.down, queryTile*(2*g-1))
	grow(&b.right, queryTile*(2*g-1))
	j.gather(b, win, size)
	for ; from < to; from += queryTile {
		j.tile(b, win, size, from, min(from+queryTile, to))
	}
	j.buffers <- b
}

// token returns the row of token i of those of a window that are in the grid.
func (j *windowJob) token(win window, i int) int {
	return win.first + i/win.cols*j.grid + i%win.cols
}

// gather copies keys and values of a head together.
func (j *windowJob) gather(b *windowBuffers, win window, size int) {
	kv := b.kv
	for y := range j.rel.side {
		for x := range j.rel.side {
			row := j.bias
			if y < win.rows && x < win.cols {
				row = j.qkv[(win.first+y*j.grid+x)*3*j.dim:][:3*j.dim]
			}
			copy(kv[:size], row[j.dim+win.head:])
			copy(kv[size:2*size], row[2*j.dim+win.head:])
			kv = kv[2*size:]
		}
	}
}

// tile computes the queries from to to-1 of a head in a window.
func (j *windowJob) tile(b *windowBuffers, win window, size, from, to int) {
	n, g := to-from, j.rel.side
	keys, rel := g*g, 2*g-1
	for i := range n {
		copy(b.q[i*size:][:size], j.qkv[j.token(win, from+i)*3*j.dim+win.head:])
	}
	kernels.AttentionScores(b.scores, b.q, size, b.kv, 2*size, n, keys, size, float32(1/math.Sqrt(float64(size))))
	kernels.AttentionScores(b.down, b.q, size, j.rel.down, size, n, rel, size, 1)
	kernels.AttentionScores(b.right, b.q, size, j.rel.right, size, n, rel, size, 1)
	for i := range n {
		s := b.scores[i*keys:][:keys]
		y, x := (from+i)/win.cols, (from+i)%win.cols
		addPositions(s, b.down[i*rel+g-1-y:][:g], b.right[i*rel+g-1-x:][:g])
		kernels.Softmax(s)
	}
	kernels.AttentionValues(b.q, size, b.scores, b.kv[size:], 2*size, n, keys, size)
	for i := range n {
		copy(j.dst[j.token(win, from+i)*j.dim+win.head:][:size], b.q[i*size:])
	}
}

// addPositions adds down[y]+right[x] to the score of the key in row y and column x.
func addPositions(scores, down, right []float32) {
	for y, d := range down {
		s := scores[y*len(right):][:len(right)]
		for x, r := range right {
			s[x] += d + r
		}
	}
}

// newWindowBuffers fills a channel with a buffer for each worker of p.
func newWindowBuffers(p *quant.Pool) chan *windowBuffers {
	c := make(chan *windowBuffers, p.Workers())
	for range p.Workers() {
		c <- &windowBuffers{}
	}
	return c
}
