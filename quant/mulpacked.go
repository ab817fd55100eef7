package quant

import (
	"sync"
	"unsafe"

	"github.com/visualrwkv/edged/kernels"
)

// packedProduct is one Mul of a packed matrix: a grid of strips, each some row tiles by
// some tiles of vectors. A kernel multiplies all rows of a strip with one tile at a time.
type packedProduct struct {
	m       *Matrix
	dst, x  []float32
	n       int
	rows    int // rows of a strip, whole row tiles
	vectors int // vectors of a strip, whole tiles
	across  int // strips that cover all rows
}

// packedBytes bounds the weights of a strip that is multiplied with many vectors: they
// should stay in the cache while the vectors pass by, and their product with a tile
// should take less than 100 microseconds.
const packedBytes = 1 << 16

// packedMost bounds the values of a strip that is multiplied with few vectors, so that a
// strip is never a large part of a matrix.
const packedMost = 1 << 20

// unpackFrom tells the number of vectors from which on it pays to unpack int4 first.
// Tests replace it.
var unpackFrom = kernels.UnpackFrom

func (s *Scratch) mulPacked(m *Matrix, dst, x []float32, n int) {
	p := &s.packed
	*p = packedProduct{m: m, dst: dst, x: x, n: n}
	p.split(s.pool.Workers())
	s.grow(n*m.stored, n*kernels.PackBlocks(m.stored))
	if m.stored > m.cols {
		s.padded.grow(s.pool.Workers(), kernels.MaxTile*m.stored)
	}
	if tiles := tileCount(n); n <= 2*kernels.MaxTile { // not worth waking anybody
		for i := range tiles {
			s.quantizeTile(i)
		}
	} else {
		s.Run(tiles, s.runTiles)
	}
	if p.unpacks() {
		s.unpacked.grow(s.pool.Workers(), p.rows*m.stored)
	}
	s.Run(p.across*((n+p.vectors-1)/p.vectors), s.runPacked)
	*p = packedProduct{} // keep nothing of the caller's alive
}

func (p *packedProduct) unpacks() bool { return p.m.t == P4 && p.n >= unpackFrom() }

// split chooses the strips: about four per worker or more. All vectors pass by the same
// rows unless there are too few rows for that.
func (p *packedProduct) split(workers int) {
	const tile = kernels.PackRows
	rowTiles := p.m.rows / tile
	bytes := packedBytes
	if p.n <= kernels.MaxTile {
		bytes = max(min(kernels.PackedStrip()/p.n, packedMost), stripLeast)
	}
	each := min(max(bytes/(tile*p.m.stored), 1), max(rowTiles/(4*workers), 1))
	p.rows = each * tile
	p.across = (rowTiles + each - 1) / each
	p.vectors = p.n
	if tiles := tileCount(p.n); p.across < 4*workers && tiles > 1 {
		down := (4*workers + p.across - 1) / p.across
		p.vectors = (tiles + down - 1) / down * kernels.MaxTile
	}
}

// tileCount returns the number of tiles that n vectors make: as many of MaxTile as fit,
// then smaller ones.
func tileCount(n int) int {
	i := n / kernels.MaxTile
	for n %= kernels.MaxTile; n > 0; n -= kernels.TileSize(n) {
		i++
	}
	return i
}

// quantizeTile quantises the vectors of tile i.
func (s *Scratch) quantizeTile(i int) {
	p := &s.packed
	full := min(i, p.n/kernels.MaxTile)
	v := full * kernels.MaxTile
	for range i - full {
		v += kernels.TileSize(p.n - v)
	}
	t := kernels.TileSize(p.n - v)
	q, scale, sum := s.tile(v, t)
	cols, stored := p.m.cols, p.m.stored
	x := p.x[v*cols : (v+t)*cols]
	if stored == cols {
		kernels.QuantizeTile(q, scale, sum, x, cols, t)
		return
	}
	// Zeros meet the columns that were added.
	b := s.padded.take()
	for i := range t {
		row := b[i*stored:][:stored]
		clear(row[copy(row, x[i*cols:][:cols]):])
	}
	kernels.QuantizeTile(q, scale, sum, b[:t*stored], stored, t)
	s.padded.put(b)
}

// tile returns the activations of the tile of t vectors that begins at vector v.
func (s *Scratch) tile(v, t int) (q []int8, scale []float32, sum []int32) {
	cols := s.packed.m.stored
	blocks, groups := kernels.PackBlocks(cols), cols/kernels.PackGroup
	return s.q[v*cols : (v+t)*cols], s.scale[v*blocks : (v+t)*blocks], s.sum[v*groups : (v+t)*groups]
}

func (s *Scratch) packedStrip(i int) {
	p := &s.packed
	m := p.m
	r0 := i % p.across * p.rows
	v := i / p.across * p.vectors
	end := min(v+p.vectors, p.n)
	rows := min(p.rows, m.rows-r0)
	data, scale, group := m.packedStrip(r0, r0+rows)
	if !p.unpacks() {
		s.mulTiles(data, scale, group, v, end, r0, rows)
		return
	}
	b := s.unpacked.take()
	w := b[:rows*m.stored]
	kernels.UnpackP4(w, data, group, rows, m.stored)
	s.mulTiles(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), len(w)), scale, nil, v, end, r0, rows)
	s.unpacked.put(b)
}

// mulTiles multiplies rows with the vectors from v to end; int4 weights have group
// scales.
func (s *Scratch) mulTiles(data, scale, group []byte, v, end, r0, rows int) {
	p := &s.packed
	stride, cols := p.m.rows, p.m.stored
	for v < end {
		t := kernels.TileSize(p.n - v)
		q, dx, sum := s.tile(v, t)
		dst := p.dst[v*stride+r0:]
		if group != nil {
			kernels.MulP4(dst, stride, data, scale, group, q, dx, sum, rows, cols, t)
		} else {
			kernels.MulP8(dst, stride, data, scale, q, dx, sum, rows, cols, t)
		}
		v += t
	}
}

// buffers lends each worker of a product a buffer.
type buffers[T int8 | float32] struct {
	mu   sync.Mutex
	free [][]T
}

// grow provides n buffers of size values. None may be on loan.
func (b *buffers[T]) grow(n, size int) {
	for i := range b.free {
		if cap(b.free[i]) < size {
			b.free[i] = make([]T, size)
		}
	}
	for len(b.free) < n {
		b.free = append(b.free, make([]T, size))
	}
}

func (b *buffers[T]) take() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.free) - 1
	p := b.free[last]
	b.free = b.free[:last]
	return p
}

func (b *buffers[T]) put(p []T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, p)
}
