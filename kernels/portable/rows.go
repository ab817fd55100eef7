package portable

// addRows adds x[i]*row i to dst for every i, in order: dst[j] += Σ_i x[i]*rows[i*stride+j].
// Four rows share one pass over dst.
func addRows(dst, rows []float32, stride int, x []float32) {
	n := len(dst)
	for len(x) >= 4 {
		a, b := rows[:n], rows[stride:][:n]
		c, d := rows[2*stride:][:n], rows[3*stride:][:n]
		x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
		for j, y := range dst {
			y += float32(x0 * a[j])
			y += float32(x1 * b[j])
			y += float32(x2 * c[j])
			y += float32(x3 * d[j])
			dst[j] = y
		}
		if x = x[4:]; len(x) > 0 {
			rows = rows[4*stride:]
		}
	}
	for i, v := range x {
		for j, a := range rows[i*stride:][:n] {
			dst[j] += float32(v * a)
		}
	}
}
