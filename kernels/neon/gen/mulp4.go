//go:build ignore

package main

// p4Dot keeps two levels of sums. Those of a group start at -8*Σx, add nibble*x, and end
// as (nibble-8)*x, at most 32*8*127, in 16 bits; times the group's scale they join the
// sums of the block. set is the number of row vectors, of the rvs of a pass, whose group
// sums are in registers together.
func p4Dot(t int) tiling {
	rvs, set := 4, 4
	switch t {
	case 3, 4:
		set = 2
	case 8:
		rvs, set = 2, 1
	case 12:
		rvs, set = 1, 1
	}
	return tiling{2, t, rvs, t, func(f *file, p tiling) [][]int {
		d := newP4(p, set)
		d.dotPass(f)
		return d.acc
	}}
}

// p4 is the registers of a pass of the dot product tiles.
type p4 struct {
	tiling
	set      int
	acc, sum [][]int // of the block, of the group
	raw, low []int   // nibbles: raw ends as the high ones
	x        int     // first register of activations
	nx       int
	held     bool // the activations of a group are in registers
	mask     int
	scratch  []int // free between groups
}

func newP4(p tiling, set int) *p4 {
	r := newRegs()
	d := &p4{tiling: p, set: set, mask: 31, held: p.t <= 3}
	r.take(d.mask)
	d.acc, d.sum = r.sums(p.rvs, p.t), r.sums(set, p.t)
	for range 2 {
		for i, first := 0, r.run(set); i < set; i++ {
			d.raw = append(d.raw, first+i)
		}
		d.low = append(d.low, r.get(set)...)
		if p.t > 1 {
			break
		}
	}
	switch {
	case d.held:
		d.nx = 2 * p.t
	case p.t == 12:
		d.nx = 3
	default:
		d.nx = p.t / 2
	}
	d.x = r.run(d.nx)
	d.scratch = append(append(d.scratch, d.raw...), d.low...)
	if !d.held {
		for i := range d.nx {
			d.scratch = append(d.scratch, d.x+i)
		}
	}
	return d
}

func (d *p4) dotPass(f *file) {
	f.vectorsAt(d.tiling, 8, 11)
	f.rowsAt(d.tiling, 2, 2, 12)
	f.vectorsAt(d.tiling, 10, 15)
	f.rowsAt(d.tiling, 4, 0, 19)
	f.op("VMOVI $15, V%d.B16", d.mask)
	f.zero(d.acc)
	f.op("LSR $6, R20, R13")
	f.loop(func() {
		for g := range 2 {
			if d.held {
				d.loadGroup(f)
			}
			for rv := 0; rv < d.rvs; rv += d.set {
				d.start(f, g)
				for u := range 4 {
					d.unit(f, g, u, rv)
				}
				d.end(f, g, rv)
			}
		}
		if d.set < 4 {
			f.op("ADD $512, R12")
		}
		if !d.held {
			f.op("ADD $%d, R11", 64*d.t)
		}
		f.op("ADD $%d, R15", 8*d.t)
		f.op("ADD $16, R19")
	})
}

// loadGroup loads the activations of 32 columns.
func (d *p4) loadGroup(f *file) {
	switch d.t {
	case 1:
		f.op("FLDPQ.P 32(R11), (F%d, F%d)", d.x, d.x+1)
	case 2:
		f.op("VLD1.P 64(R11), %s", registers(d.x, 4))
	case 3:
		f.op("VLD1.P 48(R11), %s", registers(d.x, 3))
		f.op("VLD1.P 48(R11), %s", registers(d.x+3, 3))
	}
}

// start sets the sums of group g.
func (d *p4) start(f *file, g int) {
	s := d.scratch[:(d.t+3)/4+d.t%4/3]
	f.loadWords(s, 15, 4*d.t*g, d.t)
	for _, v := range s {
		f.op("VSHL $3, V%d.S4, V%d.S4", v, v)
		f.op("NEG_4S(%d, %d)", v, v)
	}
	for v := range d.t {
		reg, lane := word(s, v, d.t)
		for rv := range d.set {
			f.op("VDUP V%d.S[%d], V%d.S4", reg, lane, d.sum[rv][v])
		}
	}
}

// unit adds the products of 8 columns, unit u of group g, for the set of row vectors
// from rv.
func (d *p4) unit(f *file, g, u, rv int) {
	raw, low := d.raw, d.low
	if n := len(raw) / d.set; n > 1 {
		raw, low = raw[u%n*d.set:], low[u%n*d.set:]
	}
	at := 256*g + 64*u + 16*rv
	switch d.set {
	case 4:
		f.op("VLD1.P 64(R12), %s", registers(raw[0], 4))
	case 2:
		f.op("FLDPQ %d(R12), (F%d, F%d)", at, raw[0], raw[1])
	default:
		f.op("FMOVQ %d(R12), F%d", at, raw[0])
	}
	for half := range 2 {
		quad := 2*u + half
		first := d.x
		lane := quad * d.t
		if !d.held {
			lane = 0
			first = d.loadQuad(f, g, quad)
		}
		for i := range d.set {
			if half == 0 {
				f.op("VAND V%d.B16, V%d.B16, V%d.B16", raw[i], d.mask, low[i])
				f.op("VUSHR $4, V%d.B16, V%d.B16", raw[i], raw[i])
			}
		}
		for v := range d.t {
			for i := range d.set {
				w := low[i]
				if half == 1 {
					w = raw[i]
				}
				e := lane + v
				f.op("SDOT_LANE(%d, %d, %d, %d)", e%4, first+e/4, w, d.sum[i][v])
			}
		}
	}
}

// loadQuad loads the activations of 4 columns, quad of group g, and returns the first
// register.
func (d *p4) loadQuad(f *file, g, quad int) int {
	at := 4 * d.t * (8*g + quad)
	switch {
	case d.t == 12:
		f.op("FLDPQ %d(R11), (F%d, F%d)", at, d.x, d.x+1)
		f.op("FMOVQ %d(R11), F%d", at+32, d.x+2)
		return d.x
	case d.t == 8:
		first := d.x + quad%2*2
		f.op("FLDPQ %d(R11), (F%d, F%d)", at, first, first+1)
		return first
	case quad%2 == 0:
		f.op("FLDPQ %d(R11), (F%d, F%d)", at, d.x, d.x+1)
		return d.x
	}
	return d.x + 1
}

// end adds the sums of group g, times its scale, to those of the block.
func (d *p4) end(f *file, g, rv int) {
	n, h := d.scratch[0], []int{d.scratch[0], d.scratch[1]}
	f.loadWords([]int{n}, 19, 4*rv, d.set)
	f.nibble(n, g, d.mask)
	if d.set == 4 {
		f.op("VUXTL2 V%d.B16, V%d.H8", n, h[1])
	}
	f.op("VUXTL V%d.B8, V%d.H8", n, n)
	if d.set == 1 {
		// Two vectors share a register.
		f.op("VDUP V%d.D[0], V%d.D2", n, n)
		for v := 0; v < d.t; v += 2 {
			f.addGroup(h[0], d.sum[0][v], d.sum[0][v+1], d.acc[rv][v], d.acc[rv][v+1])
		}
		return
	}
	for i := 0; i < d.set; i += 2 {
		for v := range d.t {
			f.addGroup(h[i/2], d.sum[i][v], d.sum[i+1][v], d.acc[rv+i][v], d.acc[rv+i+1][v])
		}
	}
}

// nibble takes the scales of group g from those of its pair.
func (f *file) nibble(n, g, mask int) {
	if g == 0 {
		f.op("VAND V%d.B16, V%d.B16, V%d.B16", n, mask, n)
	} else {
		f.op("VUSHR $4, V%d.B16, V%d.B16", n, n)
	}
}

// addGroup adds the low 16 bits of s0 and s1, times scale, to acc0 and acc1.
func (f *file) addGroup(scale, s0, s1, acc0, acc1 int) {
	f.op("VUZP1 V%d.H8, V%d.H8, V%d.H8", s1, s0, s0)
	f.op("SMLAL_4S(%d, %d, %d)", scale, s0, acc0)
	f.op("SMLAL2_4S(%d, %d, %d)", scale, s0, acc1)
}

// p4Base sums a group in 16 bits: eight products of at most 15*127 in a lane, two lanes
// to a row. Added up and less 8*Σx they are (nibble-8)*x, which fits again, so that a
// carry lost on the way does not matter.
func p4Base(t int) tiling {
	rvs, vs := 2, min(t, 4)
	if t == 1 {
		rvs = 4
	}
	return tiling{2, t, rvs, vs, p4BasePass}
}

func p4BasePass(f *file, p tiling) [][]int {
	r := newRegs()
	mask := 31
	r.take(mask)
	acc := r.sums(p.rvs, p.vs)
	sum := r.sums(p.rvs, 2*p.vs) // [row vector][vector, rows 0 and 1 or 2 and 3]
	raw0 := r.run(p.rvs)
	low, x := r.get(p.rvs), r.get(2)
	held := p.t == 1
	var lanes []int
	if held {
		lanes = r.get(2)
	}
	f.vectorsAt(p, 8, 11)
	f.rowsAt(p, 2, 2, 12)
	f.vectorsAt(p, 10, 15)
	f.rowsAt(p, 4, 0, 19)
	f.op("VMOVI $15, V%d.B16", mask)
	f.zero(acc)
	f.op("LSR $6, R20, R13")
	skip := 4 * (p.t - p.vs)
	f.loop(func() {
		for g := range 2 {
			if held {
				f.op("FLDPQ.P 32(R11), (F%d, F%d)", lanes[0], lanes[1])
			}
			for u := range 4 {
				if p.rvs == 4 {
					f.op("VLD1.P 64(R12), %s", registers(raw0, 4))
				} else {
					f.op("FLDPQ %d(R12), (F%d, F%d)", 256*g+64*u, raw0, raw0+1)
				}
				for i, w := range low {
					f.op("VAND V%d.B16, V%d.B16, V%d.B16", raw0+i, mask, w)
					f.op("VUSHR $4, V%d.B16, V%d.B16", raw0+i, raw0+i)
				}
				for half := range 2 {
					for v := range p.vs {
						spread := x[(half*p.vs+v)%2]
						if quad := 2*u + half; held {
							f.op("VDUP V%d.S[%d], V%d.S4", lanes[quad/4], quad%4, spread)
						} else {
							f.op("VLD1R.P 4(R11), [V%d.S4]", spread)
						}
						for rv := range p.rvs {
							w := low[rv]
							if half == 1 {
								w = raw0 + rv
							}
							op := "SMLAL"
							if u == 0 && half == 0 {
								op = "SMULL"
							}
							f.op("%s_8H(%d, %d, %d)", op, spread, w, sum[rv][2*v])
							f.op("%s2_8H(%d, %d, %d)", op, spread, w, sum[rv][2*v+1])
						}
					}
					if skip > 0 {
						f.op("ADD $%d, R11", skip)
					}
				}
			}
			f.say("group %d", g)
			s := append([]int{}, low...)
			h := []int{raw0, raw0 + 1}
			f.loadWords(s, 15, 4*p.t*g, p.vs)
			f.loadWords(h, 19, 0, p.rvs)
			f.nibble(raw0, g, mask)
			if p.rvs == 4 {
				f.op("VUXTL2 V%d.B16, V%d.H8", raw0, h[1])
			}
			f.op("VUXTL V%d.B8, V%d.H8", raw0, raw0)
			for v := range p.vs {
				reg, lane := word(s, v, p.vs)
				f.op("VDUP V%d.H[%d], V%d.H8", reg, 2*lane, x[0])
				f.op("VSHL $3, V%d.H8, V%d.H8", x[0], x[0])
				for rv := 0; rv < p.rvs; rv += 2 {
					a, b := sum[rv][2*v:], sum[rv+1][2*v:]
					f.op("VADDP V%d.H8, V%d.H8, V%d.H8", a[1], a[0], a[0])
					f.op("VADDP V%d.H8, V%d.H8, V%d.H8", b[1], b[0], b[0])
					f.op("VADDP V%d.H8, V%d.H8, V%d.H8", b[0], a[0], a[0])
					f.op("VSUB V%d.H8, V%d.H8, V%d.H8", x[0], a[0], a[0])
					f.op("SMLAL_4S(%d, %d, %d)", h[rv/2], a[0], acc[rv][v])
					f.op("SMLAL2_4S(%d, %d, %d)", h[rv/2], a[0], acc[rv+1][v])
				}
			}
		}
		if p.rvs < 4 {
			f.op("ADD $512, R12")
		}
		f.op("ADD $%d, R15", 8*p.t)
		f.op("ADD $16, R19")
	})
	return acc
}
