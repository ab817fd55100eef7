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
	run, runGather func(int)
	// scores has one buffer for every worker. A worker takes one for a tile, so
	// none ever waits.
	scores chan []float32

	dst                []float32 // [pictures*tokens, dim]
	qkv                qkv
	kv                 []float32 // [pictures, heads, keys and values, tokens, dim/heads]
	tokens, dim, heads int
	tiles              int // per head
}

// qkv is where query, key and value of tokens are: those of token t, each head after
// head, begin at x[t*row], x[t*row+part] and x[t*row+2*part].
type qkv struct {
	x         []float32
	row, part int
}

// attention computes dst [n*tokens, dim]. Pictures do not see each other.
func (w *Work) attention(dst []float32, in qkv, n, tokens, heads int) {
	j := &w.attend
	j.dst, j.qkv, j.tokens, j.heads = dst, in, tokens, heads
	j.dim = len(dst) / (n * tokens)
	j.tiles = (tokens + queryTile - 1) / queryTile
	grow(&j.kv, 2*len(dst))
	j.do(w.scratch, n*heads)
}

func (j *attendJob) do(s *quant.Scratch, heads int) {
	s.Run(heads, j.runGather)
	s.Run(heads*j.tiles, j.run)
	j.dst, j.qkv.x = nil, nil
}

// gather copies keys and values of one head of one picture together. Where they are, they
// lie a power of two apart or nearly so, and compete for the same few lines of the nearest
// cache, once for every tile of queries.
func (j *attendJob) gather(i int) {
	first, size := i/j.heads*j.tokens, j.dim/j.heads
	keys, values := j.head(i)
	for t := range j.tokens {
		at := (first+t)*j.qkv.row + j.qkv.part + i%j.heads*size
		copy(keys[t*size:(t+1)*size], j.qkv.x[at:])
		copy(values[t*size:(t+1)*size], j.qkv.x[at+j.qkv.part:])
	}
}

// head returns keys and values of head i, counted over all pictures.
func (j *attendJob) head(i int) (keys, values []float32) {
	n := j.tokens * (j.dim / j.heads)
	kv := j.kv[2*i*n : 2*(i+1)*n]
	return kv[:n], kv[n:]
}

func (j *attendJob) tile(i int) {
	scores := <-j.scores
	scores = grow(&scores, queryTile*j.tokens)

	q0 := i % j.tiles * queryTile
	head := i / j.tiles % j.heads
	first := i / j.tiles / j.heads * j.tokens // row of the picture's first token
	size := j.dim / j.heads
	queries := min(queryTile, j.tokens-q0)

	keys, values := j.head(i / j.tiles)
	kernels.Attention(
		j.dst[(first+q0)*j.dim+head*size:], j.dim,
		j.qkv.x[(first+q0)*j.qkv.row+head*size:], j.qkv.row,
		keys, values, size,
		queries, j.tokens, size, float32(1/math.Sqrt(float64(size))), scores)

	j.scores <- scores
}
