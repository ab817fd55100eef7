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

// packRow writes row i, all columns that are stored. The other rows of its tile stay what they are.
func (m *Matrix) packRow(x []float32, i int) error {
	var b block4
	r := i % kernels.PackRows
	data, scale, group := m.packedStrip(i-r, i-r+kernels.PackRows)
	for c := 0; c < m.stored; c += kernels.PackBlock {
		n := min(kernels.PackBlock, m.stored-c)
		d := scale[2*(c/kernels.PackBlock*kernels.PackRows+r):]
		w := data[c*kernels.PackRows/(m.stored/m.rowBytes):]
		var err error
		if m.t == P8 {
			err = packBlock8(w[4*r:], d, x[c:c+n])
		} else if err = b.fit(x[c : c+n]); err == nil {
			b.store(w[4*r:], d, group[c/(2*kernels.PackGroup)*kernels.PackRows+r:])
		}
		if err != nil {
			return fmt.Errorf("columns %d to %d: %w", c, c+n-1, err)
		}
	}
	return nil
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

// packBlock8 quantises one block of one row; dst begins at its first weight.
func packBlock8(dst, scale []byte, x []float32) error {
	m, err := peak(x)
	if err != nil {
		return err
	}
	h, err := packScale(abs(m) / 127)
	if err != nil {
		return err
	}
	// Rounding the scale down can push the peak to 127.06, hence the limit.
	inv := 1 / kernels.F16ToF32(h)
	for c := 0; c < len(x); c += 4 {
		for k, v := range x[c : c+4] {
			dst[c*kernels.PackRows+k] = byte(int8(nearest(v*inv, -127, 127)))
		}
	}
	if m == 0 {
		h = 0
	}
	binary.LittleEndian.PutUint16(scale, h)
	return nil
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
