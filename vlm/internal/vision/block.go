package vision

import "github.com/visualrwkv/edged/quant"

// block is a pre-norm transformer block: x += scale1*attn(norm1 x), then
// x += scale2*mlp(norm2 x).
type block struct {
	norm1, norm2   norm
	qkv            []linear // one with rows of query, key, value, or one for each; each head after head
	proj           linear
	fc1, fc2       linear
	scale1, scale2 []float32 // LayerScale; nil for none
	heads, hidden  int
	act            Activation
	rel            *relative // of attention in windows; nil for that among all tokens
}

// blockNames are the names of a block's parts.
type blockNames struct {
	norm1, norm2   string
	qkv            []string
	proj           string
	fc1, fc2       string
	scale1, scale2 string // empty for none
}

// bindBlock reads the block below the prefix of b.
func bindBlock(b *binder, n *blockNames, dim, heads int, act Activation, eps float32) block {
	k := block{norm1: b.norm(n.norm1, dim, eps), heads: heads, act: act}
	for _, name := range n.qkv {
		k.qkv = append(k.qkv, b.linear(name, 3*dim/len(n.qkv), dim))
	}
	k.proj = b.linear(n.proj, dim, dim)
	if n.scale1 != "" {
		k.scale1, k.scale2 = b.vector(n.scale1, dim), b.vector(n.scale2, dim)
	}
	k.norm2 = b.norm(n.norm2, dim, eps)
	k.fc1 = b.linear(n.fc1, -1, dim)
	if b.err == nil {
		k.hidden = k.fc1.w.Rows()
	}
	k.fc2 = b.linear(n.fc2, dim, k.hidden)
	return k
}

// mlpRows is how many rows pass through the feed-forward layer at once. Its
// hidden layer is the widest of the tower; all tokens of a picture at once would
// double the working memory, and the weights are already reused often enough.
const mlpRows = 256

// forward advances the rows of w.x [n*tokens, dim].
func (k *block) forward(w *Work, n, tokens int) {
	dim := len(k.norm1.weight)
	rows := n * tokens
	w.norm(w.h, w.x, &k.norm1)
	in := qkv{x: w.big[:3*rows*dim], row: 3 * dim, part: dim}
	if len(k.qkv) > 1 {
		in.row, in.part = dim, rows*dim
	}
	for i, l := range k.qkv {
		y := in.x[i*in.part:][:rows*in.row]
		w.mul(l.w, y, w.h, rows)
		w.addBias(y, l.bias)
	}
	if k.rel != nil {
		w.windowAttention(w.h, in.x, k.qkv[0].bias, n, Side(tokens), k.heads, k.rel)
	} else {
		w.attention(w.h, in, n, tokens, k.heads)
	}
	out := w.big[:rows*dim]
	w.mul(k.proj.w, out, w.h, rows)
	w.residual(w.x, out, k.proj.bias, k.scale1)

	w.norm(w.h, w.x, &k.norm2)
	for r := 0; r < rows; r += mlpRows {
		c := min(mlpRows, rows-r)
		hid := grow(&w.hid, c*k.hidden)
		w.mul(k.fc1.w, hid, w.h[r*dim:][:c*dim], c)
		w.activate(hid, k.fc1.bias, k.act)
		w.mul(k.fc2.w, out[:c*dim], hid, c)
		w.residual(w.x[r*dim:][:c*dim], out[:c*dim], k.fc2.bias, k.scale2)
	}
}

func (w *Work) mul(m *quant.Matrix, dst, x []float32, n int) { m.Mul(w.scratch, dst, x, n) }
