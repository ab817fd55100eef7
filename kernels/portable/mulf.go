package portable

// chunk is the number of columns that are summed before the partial sum joins the
// total. It bounds the error of a long float32 sum, and four decoded rows of a
// chunk fit the nearest cache.
const chunk = 256

// MulF32 computes dst[i*stride+r] = Σ_k w[r,k]*x[i,k] for r < rows, i < n, with w
// little-endian float32 bytes of any alignment. The sum runs over k in order within
// a chunk of 256 columns, and over the chunks in order.
func MulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	view, ok := viewF32(w)
	if !ok {
		mulDecoded(dst, stride, w, x, rows, cols, n, f32)
		return
	}
	for r := 0; r < rows; r += 4 {
		var t rows4
		for k := 0; k == 0 || k < cols; k += chunk {
			width := min(chunk, cols-k)
			for j := range t {
				t[j] = view[min(r+j, rows-1)*cols+k:][:width]
			}
			t.mul(dst[r:], stride, x[k:], cols, min(4, rows-r), n, k == 0)
		}
	}
}

// MulF16 is MulF32 for half-precision weights: the same bits as for the same
// weights in float32.
func MulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulDecoded(dst, stride, w, x, rows, cols, n, f16)
}

// MulBF16 is MulF32 for bfloat16 weights: the same bits as for the same weights in
// float32.
func MulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulDecoded(dst, stride, w, x, rows, cols, n, bf16)
}

// format says how values are stored. It is not a function value, through which the
// decoded rows would escape to the heap.
type format int

const (
	f32 format = iota
	f16
	bf16
)

// decode expands len(dst) values from value i of src.
func (f format) decode(dst []float32, src []byte, i int) {
	switch f {
	case f32:
		DecodeF32(dst, src[4*i:])
	case f16:
		DecodeF16(dst, src[2*i:])
	case bf16:
		DecodeBF16(dst, src[2*i:])
	}
}

// mulDecoded is MulF32 for rows that are expanded first, four at a time.
func mulDecoded(dst []float32, stride int, w []byte, x []float32, rows, cols, n int, f format) {
	var buf [4][chunk]float32
	for r := 0; r < rows; r += 4 {
		var t rows4
		for k := 0; k == 0 || k < cols; k += chunk {
			width := min(chunk, cols-k)
			for j := range t {
				t[j] = buf[j][:width]
				if r+j < rows {
					f.decode(t[j], w, (r+j)*cols+k)
				}
			}
			t.mul(dst[r:], stride, x[k:], cols, min(4, rows-r), n, k == 0)
		}
	}
}

// rows4 is the same chunk of four rows. At the end of a strip some repeat or hold
// anything: their products are computed and dropped.
type rows4 [4][]float32

// mul adds the chunk's partial sums of n vectors to dst, or stores them when they
// are the first. Vectors begin cols apart in x.
func (t *rows4) mul(dst []float32, stride int, x []float32, cols, rows, n int, first bool) {
	width := len(t[0])
	var s [8]float32
	for i := 0; i < n; i += 2 {
		x0 := x[i*cols:][:width]
		if i+1 < n {
			dot4x2(&s, t[0], t[1], t[2], t[3], x0, x[(i+1)*cols:][:width])
			put(dst[(i+1)*stride:][:rows], s[4:], first)
		} else {
			dot4x1((*[4]float32)(s[:4]), t[0], t[1], t[2], t[3], x0)
		}
		put(dst[i*stride:][:rows], s[:4], first)
	}
}

func put(dst, s []float32, first bool) {
	for j := range dst {
		if first {
			dst[j] = s[j]
		} else {
			dst[j] += s[j]
		}
	}
}

// dot4x2 computes the dot products of four rows with two vectors. Eight sums and
// their factors are what sixteen vector registers hold.
func dot4x2(s *[8]float32, a, b, c, d, x, y []float32) {
	n := len(a)
	b, c, d, x, y = b[:n], c[:n], d[:n], x[:n], y[:n]
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for k, ak := range a {
		xk, yk := x[k], y[k]
		s0 += float32(ak * xk)
		s4 += float32(ak * yk)
		bk := b[k]
		s1 += float32(bk * xk)
		s5 += float32(bk * yk)
		ck := c[k]
		s2 += float32(ck * xk)
		s6 += float32(ck * yk)
		dk := d[k]
		s3 += float32(dk * xk)
		s7 += float32(dk * yk)
	}
	*s = [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
}

// dot4x1 computes the dot products of four rows with one vector.
func dot4x1(s *[4]float32, a, b, c, d, x []float32) {
	n := len(a)
	b, c, d, x = b[:n], c[:n], d[:n], x[:n]
	var s0, s1, s2, s3 float32
	for k, ak := range a {
		xk := x[k]
		s0 += float32(ak * xk)
		s1 += float32(b[k] * xk)
		s2 += float32(c[k] * xk)
		s3 += float32(d[k] * xk)
	}
	*s = [4]float32{s0, s1, s2, s3}
}
