package vision

import "github.com/visualrwkv/edged/quant"

// Memory is the working memory of towers that run one after the other over one [Work], in
// values of its buffers; each is as large as the tower that needs most of it.
type Memory struct {
	x, h, big, hid, kv, q int
	perWorker             int
}

// Add makes room for n pictures of size x size pixels at a time in a tower of sizes s.
func (m *Memory) Add(s Sizes, size, n int) {
	grid := size / s.Patch
	cells := grid * grid
	tokens := s.before + cells
	n = min(n, max(1, batchTokens/tokens))
	rows := n * tokens
	chunk := min(rows, mlpRows)
	m.x = max(m.x, rows*s.Width)
	m.h = max(m.h, rows*s.Width, rows*s.neck)
	m.big = max(m.big, 3*rows*s.Width, n*cells*3*s.Patch*s.Patch, rows*s.neck)
	m.hid = max(m.hid, chunk*s.hidden, max(1, neckCells/grid)*grid*9*s.neck)
	m.q = max(m.q, rows*s.Width, chunk*s.hidden)
	if s.window == 0 {
		m.kv = max(m.kv, 2*rows*s.Width)
		m.perWorker = max(m.perWorker, queryTile*tokens)
		return
	}
	keys, head := s.window*s.window, s.Width/max(s.Heads, 1)
	m.perWorker = max(m.perWorker, 2*keys*head+queryTile*(keys+head+2*(2*s.window-1)))
}

// AddProjector makes room for the projector in l, of rows of in features to out channels.
func (m *Memory) AddProjector(l quant.Loader, rows, in, out int) {
	hidden := out
	switch {
	case l.Shape("proj.ln_v.weight") != nil:
		hidden = in
	case l.Shape("proj.proj.weight") == nil:
		m.q = max(m.q, rows*in)
		return
	}
	chunk := min(rows, projectRows)
	m.hid = max(m.hid, 2*chunk*hidden)
	m.q = max(m.q, chunk*max(in, out))
}

// Bytes returns the bytes on so many workers. A value that is quantised for a product takes
// a byte and, for 32 of them, a scale and a sum.
func (m *Memory) Bytes(workers int) int64 {
	return 4*(int64(m.x)+int64(m.h)+int64(m.big)+int64(m.hid)+int64(m.kv)+int64(workers)*int64(m.perWorker)) + int64(m.q)*5/4
}
