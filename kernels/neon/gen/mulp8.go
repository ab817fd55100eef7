//go:build ignore

package main

// p8Dot takes 16 rows by up to 4 vectors at once, or 8 rows by 8 or 12: as many sums as
// the registers hold, which is what keeps SDOT and not the loads the limit.
func p8Dot(t int) tiling {
	if t <= 4 {
		return tiling{1, t, 4, t, p8DotWide}
	}
	return tiling{1, t, 2, t, p8DotLarge}
}

// p8DotWide: a unit of weights is four registers, four activations of one vector are
// one lane.
func p8DotWide(f *file, p tiling) [][]int {
	quads := 4 // columns/4 of an iteration
	if p.t <= 2 {
		quads = 8
	}
	r := newRegs()
	acc := r.sums(4, p.t)
	x := r.run(quads * p.t / 4)
	var units []int
	for len(units) < 3 {
		units = append(units, r.run(4))
	}
	f.vectorsAt(p, 8, 11)
	f.rowsAt(p, 2, 2, 12)
	f.zero(acc)
	f.op("LSR $%d, R20, R13", 2+log2(quads))
	load := func(u int) {
		f.op("VLD1.P 64(R12), %s", registers(units[u%len(units)], 4))
	}
	f.loop(func() {
		load(0)
		if n := quads * p.t / 4; n == 2 {
			f.op("FLDPQ.P 32(R11), (F%d, F%d)", x, x+1)
		} else {
			f.op("VLD1.P %d(R11), %s", 16*n, registers(x, n))
		}
		load(1)
		for u := range quads {
			if u+2 < quads {
				load(u + 2)
			}
			for v := range p.t {
				e := u*p.t + v
				for rv := range 4 {
					f.op("SDOT_LANE(%d, %d, %d, %d)", e%4, x+e/4, units[u%len(units)]+rv, acc[rv][v])
				}
			}
		}
	})
	return acc
}

// p8DotLarge: 8 rows of a unit are two registers.
func p8DotLarge(f *file, p tiling) [][]int {
	const quads = 4
	r := newRegs()
	acc := r.sums(2, p.t)
	w := [][]int{r.get(2), r.get(2)}
	x := r.run(p.t / 4)
	f.vectorsAt(p, 8, 11)
	f.rowsAt(p, 2, 2, 12)
	f.zero(acc)
	f.op("LSR $%d, R20, R13", 2+log2(quads))
	load := func(u int) {
		f.op("FLDPQ %d(R12), (F%d, F%d)", 64*u, w[u%2][0], w[u%2][1])
	}
	f.loop(func() {
		load(0)
		for u := range quads {
			f.op("VLD1.P %d(R11), %s", 4*p.t, registers(x, p.t/4))
			if u+1 < quads {
				load(u + 1)
			}
			for v := range p.t {
				for rv := range 2 {
					f.op("SDOT_LANE(%d, %d, %d, %d)", v%4, x+v/4, w[u%2][rv], acc[rv][v])
				}
			}
		}
		f.op("ADD $%d, R12", 64*quads)
	})
	return acc
}

// p8MM multiplies pairs of rows and pairs of vectors by 8 columns: two units, zipped,
// are pairs of rows, and activations likewise pairs of vectors.
func p8MM(t int) tiling { return tiling{1, t, 2, t, p8MMLarge} }

func p8MMLarge(f *file, p tiling) [][]int {
	const quads = 4
	r := newRegs()
	acc := r.sums(4, p.t/2) // of a pair of rows and a pair of vectors
	a, b := r.get(2), r.get(2)
	w0, spare := r.get(1)[0], r.get(3)
	w := []int{w0, a[0], b[0], a[1]}
	x0, x1, z := spare[0], spare[1], []int{spare[2], b[1]}
	f.vectorsAt(p, 8, 11)
	f.rowsAt(p, 2, 2, 12)
	f.zero(acc)
	f.op("LSR $%d, R20, R13", 2+log2(quads))
	f.loop(func() {
		for u := 0; u < quads; u += 2 {
			f.op("FLDPQ %d(R12), (F%d, F%d)", 64*u, a[0], a[1])
			f.op("FLDPQ %d(R12), (F%d, F%d)", 64*u+64, b[0], b[1])
			f.op("VZIP1 V%d.S4, V%d.S4, V%d.S4", b[0], a[0], w[0])
			f.op("VZIP2 V%d.S4, V%d.S4, V%d.S4", b[0], a[0], w[1])
			f.op("VZIP1 V%d.S4, V%d.S4, V%d.S4", b[1], a[1], w[2])
			f.op("VZIP2 V%d.S4, V%d.S4, V%d.S4", b[1], a[1], w[3])
			for v := 0; v < p.t; v += 4 {
				f.op("FMOVQ %d(R11), F%d", 4*(u*p.t+v), x0)
				f.op("FMOVQ %d(R11), F%d", 4*(u*p.t+p.t+v), x1)
				f.op("VZIP1 V%d.S4, V%d.S4, V%d.S4", x1, x0, z[0])
				f.op("VZIP2 V%d.S4, V%d.S4, V%d.S4", x1, x0, z[1])
				for k, m := range z {
					for pair := range 4 {
						f.op("SMMLA_4S(%d, %d, %d)", w[pair], m, acc[pair][v/2+k])
					}
				}
			}
		}
		f.op("ADD $%d, R12", 64*quads)
		f.op("ADD $%d, R11", 4*p.t*quads)
	})
	f.say("two vectors of two rows to one vector of four rows")
	sums := [][]int{make([]int, p.t), make([]int, p.t)}
	free := spare[0]
	for rv := range 2 {
		for k := range p.t / 2 {
			lo, hi := acc[2*rv][k], acc[2*rv+1][k]
			f.op("VZIP1 V%d.D2, V%d.D2, V%d.D2", hi, lo, free)
			f.op("VZIP2 V%d.D2, V%d.D2, V%d.D2", hi, lo, hi)
			sums[rv][2*k], sums[rv][2*k+1] = free, hi
			free = lo
		}
	}
	return sums
}

// p8Base: two products of at most 128*127 fit 16 bits. A unit's half register times
// four activations, given twice, and that of the next unit make the four partial sums
// of two rows, which are added in pairs to 32 bits.
func p8Base(t int) tiling {
	if t == 1 {
		return tiling{1, 1, 4, 1, p8BaseWide}
	}
	return tiling{1, t, 2, min(t, 4), p8BaseLarge}
}

// p8BaseWide: 16 rows, activations spread from lanes.
func p8BaseWide(f *file, p tiling) [][]int {
	const quads = 8
	r := newRegs()
	acc := r.sums(4, 2)
	w := []int{r.run(4), r.run(4)}
	x, spread, temp := r.get(2), r.get(2), r.get(8)
	f.vectorsAt(p, 8, 11)
	f.rowsAt(p, 2, 2, 12)
	f.zero(acc)
	f.op("LSR $%d, R20, R13", 2+log2(quads))
	f.loop(func() {
		f.op("FLDPQ.P 32(R11), (F%d, F%d)", x[0], x[1])
		for u := 0; u < quads; u += 2 {
			for i := range 2 {
				f.op("VLD1.P 64(R12), %s", registers(w[i], 4))
				f.op("VDUP V%d.S[%d], V%d.S4", x[(u+i)/4], (u+i)%4, spread[i])
			}
			for rv := range 4 {
				f.baseDot(w[0]+rv, w[1]+rv, spread, temp[2*rv:], acc[rv])
			}
		}
	})
	return f.foldPairs(acc, 1)
}

// p8BaseLarge: 8 rows by up to 4 vectors, activations spread by the loads.
func p8BaseLarge(f *file, p tiling) [][]int {
	const quads = 4
	r := newRegs()
	acc := r.sums(2, 2*p.vs)
	w := [][]int{r.get(2), r.get(2)}
	spread := [][]int{r.get(2), r.get(2), r.get(2), r.get(2)}
	temp := r.get(4)
	f.vectorsAt(p, 8, 11)
	f.op("ADD $%d, R11, R22", 4*p.t)
	f.rowsAt(p, 2, 2, 12)
	f.zero(acc)
	f.op("LSR $%d, R20, R13", 2+log2(quads))
	f.loop(func() {
		for u := 0; u < quads; u += 2 {
			for i := range 2 {
				f.op("FLDPQ %d(R12), (F%d, F%d)", 64*(u+i), w[i][0], w[i][1])
			}
			for v := range p.vs {
				f.op("VLD1R.P 4(R11), [V%d.S4]", spread[v][0])
				f.op("VLD1R.P 4(R22), [V%d.S4]", spread[v][1])
				for rv := range 2 {
					f.baseDot(w[0][rv], w[1][rv], spread[v], temp[2*rv:], acc[rv][2*v:])
				}
			}
			f.op("ADD $%d, R11", 8*p.t-4*p.vs)
			f.op("ADD $%d, R22", 8*p.t-4*p.vs)
		}
		f.op("ADD $%d, R12", 64*quads)
	})
	return f.foldPairs(acc, p.vs)
}

// baseDot adds the products of four rows with 8 columns to acc, rows 0 and 1, 2 and 3.
func (f *file) baseDot(w0, w1 int, x, temp, acc []int) {
	f.op("SMULL_8H(%d, %d, %d)", x[0], w0, temp[0])
	f.op("SMULL2_8H(%d, %d, %d)", x[0], w0, temp[1])
	f.op("SMLAL_8H(%d, %d, %d)", x[1], w1, temp[0])
	f.op("SMLAL2_8H(%d, %d, %d)", x[1], w1, temp[1])
	f.op("SADALP_4S(%d, %d)", temp[0], acc[0])
	f.op("SADALP_4S(%d, %d)", temp[1], acc[1])
}

// foldPairs adds pairs of partial sums: from two registers, of two rows each, to one.
func (f *file) foldPairs(acc [][]int, vs int) [][]int {
	sums := make([][]int, len(acc))
	for rv, a := range acc {
		for v := range vs {
			f.op("VADDP V%d.S4, V%d.S4, V%d.S4", a[2*v+1], a[2*v], a[2*v])
			sums[rv] = append(sums[rv], a[2*v])
		}
	}
	return sums
}

func log2(n int) (k int) {
	for n > 1 {
		n, k = n/2, k+1
	}
	return k
}
