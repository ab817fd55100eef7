package portable

import "encoding/binary"

// MulF32 computes dst[i*stride+r] = Σ_k w[r,k]*x[i,k] for r < rows, i < n.
func MulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat(dst, stride, w, x, rows, cols, n, 4, DecodeF32)
}

// MulF16 is MulF32 for half-precision weights.
func MulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat(dst, stride, w, x, rows, cols, n, 2, DecodeF16)
}

// MulBF16 is MulF32 for bfloat16 weights.
func MulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat(dst, stride, w, x, rows, cols, n, 2, DecodeBF16)
}

func mulFloat(dst []float32, stride int, w []byte, x []float32, rows, cols, n, size int, decode func([]float32, []byte)) {
	var buf [256]float32
	for r := range rows {
		for i := range n {
			dst[i*stride+r] = 0
		}
		for k := 0; k < cols; k += len(buf) {
			part := buf[:min(len(buf), cols-k)]
			decode(part, w[(r*cols+k)*size:])
			for i := range n {
				var s float32
				xi := x[i*cols+k:][:len(part)]
				for j, v := range part {
					s += float32(v * xi[j])
				}
				dst[i*stride+r] += s
			}
		}
	}
}

// MulQ8 multiplies Q8_0 rows with activations made by QuantizeActs.
func MulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	nb := cols / Block
	for r := range rows {
		for i := range n {
			var acc float32
			for b := range nb {
				wb := w[(r*nb+b)*Q8Bytes:][:Q8Bytes]
				xb := q[(i*nb+b)*Block:][:Block]
				var s int32
				for j, v := range wb[2:] {
					s += int32(int8(v)) * int32(xb[j])
				}
				d := F16ToF32(binary.LittleEndian.Uint16(wb)) * scale[i*nb+b]
				acc += float32(float32(s) * d)
			}
			dst[i*stride+r] = acc
		}
	}
}

// MulQ4 multiplies Q4_0 rows with activations made by QuantizeActs.
func MulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	nb := cols / Block
	for r := range rows {
		for i := range n {
			var acc float32
			for b := range nb {
				wb := w[(r*nb+b)*Q4Bytes:][:Q4Bytes]
				xb := q[(i*nb+b)*Block:][:Block]
				var s int32
				for j, v := range wb[2:] {
					s += int32(v&15)*int32(xb[j]) + int32(v>>4)*int32(xb[j+Block/2])
				}
				s -= 8 * sum[i*nb+b]
				d := F16ToF32(binary.LittleEndian.Uint16(wb)) * scale[i*nb+b]
				acc += float32(float32(s) * d)
			}
			dst[i*stride+r] = acc
		}
	}
}
