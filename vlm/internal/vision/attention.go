package vision

import (
	"math"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// queryTile is the number of query rows a worker takes at a time: enough to
// read keys and values from the nearest cache, few enough for a short call.
const queryTile = 16

// attendJob is multi-head attention within each of several pictures, cut into
// tiles of queries of one head.
type attendJob struct {
	run func(int)
	// scores has one buffer for every worker. A worker takes one for a tile, so
	// none ever waits.
	scores chan []float32

	dst, qkv           []float32 // [pictures*tokens, dim] and [.., 3*dim]
	tokens, dim, heads int
	tiles              int // per head
}

// attention computes dst [n*tokens, dim] from qkv [n*tokens, 3*dim], whose rows
// are query, key and value, each head after head. Pictures do not see each other.
func (w *Work) attention(dst, qkv []float32, n, tokens, heads int) {
	j := &w.attend
	j.dst, j.qkv, j.tokens, j.heads = dst, qkv, tokens, heads
	j.dim = len(dst) / (n * tokens)
	j.tiles = (tokens + queryTile - 1) / queryTile
	w.attend.do(w.scratch.Pool(), n*heads*j.tiles)
}

func (j *attendJob) do(p *quant.Pool, tiles int) {
	p.Run(tiles, j.run)
	j.dst, j.qkv = nil, nil
}

func (j *attendJob) tile(i int) {
	scores := <-j.scores
	scores = grow(&scores, queryTile*j.tokens)

	q0 := i % j.tiles * queryTile
	head := i / j.tiles % j.heads
	first := i / j.tiles / j.heads * j.tokens // row of the picture's first token
	size := j.dim / j.heads
	queries := min(queryTile, j.tokens-q0)

	row := 3 * j.dim
	at := first*row + head*size
	kernels.Attention(
		j.dst[(first+q0)*j.dim+head*size:], j.dim,
		j.qkv[at+q0*row:], row,
		j.qkv[at+j.dim:], j.qkv[at+2*j.dim:], row,
		queries, j.tokens, size, float32(1/math.Sqrt(float64(size))), scores)

	j.scores <- scores
}
