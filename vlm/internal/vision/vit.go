package vision

import "github.com/visualrwkv/edged/quant"

// vitBlock is a pre-norm transformer block: x += attn(norm1 x), then
// x += mlp(norm2 x).
type vitBlock struct {
	norm1, norm2  norm
	qkv, proj     linear // rows of qkv: query, key, value, each head after head
	fc1, fc2      linear
	heads, hidden int
	act           Activation
	rel           *relative // of attention in windows; nil for that among all tokens
}

// bindViTBlock reads a block under timm's names.
func bindViTBlock(b *binder, dim, heads int, act Activation, eps float32) vitBlock {
	k := vitBlock{
		norm1: b.norm("norm1", dim, eps),
		qkv:   b.linear("attn.qkv", 3*dim, dim),
		proj:  b.linear("attn.proj", dim, dim),
		norm2: b.norm("norm2", dim, eps),
		fc1:   b.linear("mlp.fc1", -1, dim),
		heads: heads,
		act:   act,
	}
	if b.err == nil {
		k.hidden = k.fc1.w.Rows()
	}
	k.fc2 = b.linear("mlp.fc2", dim, k.hidden)
	return k
}

// mlpRows is how many rows pass through the feed-forward layer at once. Its
// hidden layer is the widest of the tower; all tokens of a picture at once would
// double the working memory, and the weights are already reused often enough.
const mlpRows = 256

// forward advances the rows of w.x [n*tokens, dim].
func (k *vitBlock) forward(w *Work, n, tokens int) {
	dim := len(k.norm1.weight)
	rows := n * tokens
	w.norm(w.h, w.x, &k.norm1)
	qkv := w.big[:3*rows*dim]
	w.mul(k.qkv.w, qkv, w.h, rows)
	w.addBias(qkv, k.qkv.bias)
	if k.rel != nil {
		w.windowAttention(w.h, qkv, k.qkv.bias, n, Side(tokens), k.heads, k.rel)
	} else {
		w.attention(w.h, qkv, n, tokens, k.heads)
	}
	out := w.big[:rows*dim]
	w.mul(k.proj.w, out, w.h, rows)
	w.residual(w.x, out, k.proj.bias)

	w.norm(w.h, w.x, &k.norm2)
	for r := 0; r < rows; r += mlpRows {
		c := min(mlpRows, rows-r)
		hid := grow(&w.hid, c*k.hidden)
		w.mul(k.fc1.w, hid, w.h[r*dim:][:c*dim], c)
		w.activate(hid, k.fc1.bias, k.act)
		w.mul(k.fc2.w, out[:c*dim], hid, c)
		w.residual(w.x[r*dim:][:c*dim], out[:c*dim], k.fc2.bias)
	}
}

func (w *Work) mul(m *quant.Matrix, dst, x []float32, n int) { m.Mul(w.scratch, dst, x, n) }
