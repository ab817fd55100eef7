package quant

import (
	"encoding/binary"
	"fmt"

	"github.com/visualrwkv/edged/kernels"
)

// Pack quantises rows x cols values, whole row tiles, to a packed format. The parts
// must have exactly the bytes of PackedSize. Rows are quantised one by one, so that a
// matrix may be packed in pieces of whole row tiles.
//
// int8 has a scale of amax/127 per 256 values. int4 chooses the scale of 256 values and
// the integers 1..15 that multiply it for each 32, so that the squared error is small.
// Both refuse values that are not finite, and scales that half precision cannot hold.
func Pack(t Type, data, scale, group []byte, src []float32, rows, cols int) error {
	m, err := NewPacked(t, rows, cols, data, scale, group)
	if err != nil {
		return err
	}
	if len(src) != rows*cols {
		return fmt.Errorf("%d values for a matrix of %d x %d", len(src), rows, cols)
	}
	row := make([]float32, m.stored) // zeros are added to it
	for i := range rows {
		copy(row, src[i*cols:][:cols])
		if err := m.packRow(row, i); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return nil
}

// packRow writes row i, all columns that are stored, with the nearest integers. The other
// rows of its tile stay what they are.
func (m *Matrix) packRow(x []float32, i int) error {
	var b block4
	var q [kernels.PackBlock]int8
	for c := 0; c < m.stored; c += kernels.PackBlock {
		block := x[c:min(c+kernels.PackBlock, m.stored)]
		var err error
		data, scale, group := m.blockParts(i, c)
		if m.t == P8 {
			var h uint16
			if h, err = scale8(block); err == nil {
				round8(q[:], block, h)
				store8(data, scale, q[:len(block)], h)
			}
		} else if err = b.fit(block, evenly[:]); err == nil {
			b.round(q[:])
			b.store(data, scale, group, q[:])
		}
		if err != nil {
			return fmt.Errorf("columns %d to %d: %w", c, c+len(block)-1, err)
		}
	}
	return nil
}

// evenly are weights of squared errors that are all the same.
var evenly = func() (h [kernels.PackBlock]float32) {
	for i := range h {
		h[i] = 1
	}
	return h
}()

// blockParts returns the parts of row i from the block that begins at column c on.
func (m *Matrix) blockParts(i, c int) (data, scale, group []byte) {
	r := i % kernels.PackRows
	data, scale, group = m.packedStrip(i-r, i-r+kernels.PackRows)
	data = data[c*kernels.PackRows/(m.stored/m.rowBytes)+4*r:]
	scale = scale[2*(c/kernels.PackBlock*kernels.PackRows+r):]
	if m.t == P4 {
		group = group[c/(2*kernels.PackGroup)*kernels.PackRows+r:]
	}
	return data, scale, group
}

// packScale rounds a scale to half precision, never to zero: a block that is not zero
// keeps at least its largest values.
func packScale(d float32) (uint16, error) {
	h := kernels.F32ToF16(d)
	if h >= 0x7c00 {
		return 0, fmt.Errorf("scale %v overflows half precision", d)
	}
	return max(h, 1), nil
}

// scale8 returns the scale of a block of P8, not zero.
func scale8(x []float32) (uint16, error) {
	m, err := peak(x)
	if err != nil {
		return 0, err
	}
	return packScale(abs(m) / 127)
}

// round8 sets q to the integers nearest to x.
func round8(q []int8, x []float32, scale uint16) {
	// Rounding the scale down can push the peak to 127.06, hence the limit.
	inv := 1 / kernels.F16ToF32(scale)
	for i, v := range x {
		q[i] = int8(nearest(v*inv, -127, 127))
	}
}

// store8 writes one block of one row; a block of zeros has a scale of zero.
func store8(data, scale []byte, q []int8, h uint16) {
	zero := true
	for c := 0; c < len(q); c += 4 {
		for k, v := range q[c : c+4] {
			data[c*kernels.PackRows+k] = byte(v)
			zero = zero && v == 0
		}
	}
	if zero {
		h = 0
	}
	binary.LittleEndian.PutUint16(scale, h)
}

// nearest rounds to the nearest integer, ties to even, within limits; v is below 2^21.
func nearest(v, lo, hi float32) float32 {
	const magic = 3 << 22 // leaves no bits for a fraction
	v = v + magic - magic
	if v > hi {
		return hi
	}
	if v < lo {
		return lo
	}
	return v
}
