package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/visualrwkv/edged/kernels"
)

// NewPacked wraps the parts of a packed matrix, in the order that docs/model-file.md
// describes: data are the weights of the row tiles, scale their half-precision scales,
// and group, which P8 does not have, their group scales. Lengths must be those of
// PackedSize; any alignment will do, and every byte is valid. Columns that are stored
// beyond cols count for nothing, whatever their bytes.
func NewPacked(t Type, rows, cols int, data, scale, group []byte) (*Matrix, error) {
	nd, ns, ng, err := t.PackedSize(rows, cols)
	if err != nil {
		return nil, err
	}
	if len(data) != nd || len(scale) != ns || len(group) != ng {
		return nil, fmt.Errorf("matrix of %d x %d in %v needs %d bytes of weights, %d of scales and %d of group scales, have %d, %d and %d",
			rows, cols, t, nd, ns, ng, len(data), len(scale), len(group))
	}
	m := &Matrix{t: t, rows: rows, cols: cols, stored: StoredCols(cols), data: data, scale: scale, group: group}
	m.rowBytes = m.stored
	if t == P4 {
		m.rowBytes = m.stored / 2
	}
	return m, nil
}

// Packed reports whether t is one of the formats of NewPacked, whose rows are not
// stored one by one.
func (t Type) Packed() bool { return t == P8 || t == P4 }

// Packs reports whether a packed format suits a matrix of rows x cols values: rows are
// whole row tiles, and the columns that are added cost no more than a sixteenth.
func Packs(rows, cols int) bool {
	return rows > 0 && cols > 0 && rows%kernels.PackRows == 0 && StoredCols(cols)-cols <= cols/16
}

// StoredCols returns the number of columns of which packed formats store cols: as many
// zeros are added as make it a whole number of pairs of groups.
func StoredCols(cols int) int {
	const pair = 2 * kernels.PackGroup
	return (cols + pair - 1) / pair * pair
}

// PackedSize returns the bytes of the parts of a packed matrix of rows x cols values. It
// fails for a type that is not packed, for rows that are no whole number of row tiles,
// and when a size does not fit an int.
func (t Type) PackedSize(rows, cols int) (data, scale, group int, err error) {
	switch {
	case !t.Packed():
		return 0, 0, 0, fmt.Errorf("%v is not a packed type", t)
	case rows < 1 || cols < 1 || rows%kernels.PackRows != 0:
		return 0, 0, 0, fmt.Errorf("%d x %d values cannot be %v: rows come in tiles of %d", rows, cols, t, kernels.PackRows)
	case cols > math.MaxInt-2*kernels.PackGroup || rows > math.MaxInt/2/StoredCols(cols):
		return 0, 0, 0, fmt.Errorf("matrix of %d x %d in %v is too large", rows, cols, t)
	}
	cols = StoredCols(cols)
	scale = 2 * rows * kernels.PackBlocks(cols)
	if t == P8 {
		return rows * cols, scale, 0, nil
	}
	return rows * cols / 2, scale, rows * (cols / (2 * kernels.PackGroup)), nil
}

// Parts returns the stored bytes of a packed matrix, as given to NewPacked; scale and
// group are nil for other formats. They are borrowed and must not be written.
func (m *Matrix) Parts() (data, scale, group []byte) { return m.data, m.scale, m.group }

// packedStrip returns the parts of rows r0 to r1, which are whole row tiles.
func (m *Matrix) packedStrip(r0, r1 int) (data, scale, group []byte) {
	blocks := 2 * kernels.PackBlocks(m.stored)
	if m.t == P4 {
		pairs := m.stored / (2 * kernels.PackGroup)
		group = m.group[r0*pairs : r1*pairs]
	}
	return m.strip(r0, r1), m.scale[r0*blocks : r1*blocks], group
}

// packedRow is Row for packed matrices.
func (m *Matrix) packedRow(dst []float32, i int) {
	r := i % kernels.PackRows
	data, scale, group := m.packedStrip(i-r, i-r+kernels.PackRows)
	var d float32
	for c := 0; c < m.cols; c += 4 {
		if c%kernels.PackBlock == 0 {
			d = kernels.F16ToF32(binary.LittleEndian.Uint16(scale[2*(c/kernels.PackBlock*kernels.PackRows+r):]))
		}
		out := dst[c:min(c+4, m.cols)]
		if m.t == P8 {
			for k, b := range data[c*kernels.PackRows+4*r:][:len(out)] {
				out[k] = d * float32(int8(b))
			}
			continue
		}
		nibble := uint(c / 4 % 2 * 4)
		g := group[c/(2*kernels.PackGroup)*kernels.PackRows+r] >> (c / kernels.PackGroup % 2 * 4) & 15
		for k, b := range data[c/8*4*kernels.PackRows+4*r:][:len(out)] {
			out[k] = d * float32(int(g)*(int(b>>nibble&15)-8))
		}
	}
}
