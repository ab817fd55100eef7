package quant

import (
	"fmt"
	"math"
	"unsafe"
)

// Matrix is a weight matrix W [rows, cols], stored row after row in its Type, or in
// tiles of rows if that is packed. It acts on a vector x of cols values as W x. The
// bytes are borrowed: they must stay valid and unchanged as long as the Matrix is used.
type Matrix struct {
	t            Type
	rows, cols   int
	stored       int // columns of packed formats, with those that were added
	rowBytes     int
	data         []byte
	scale, group []byte // of packed formats
	observe      func(x []float32, n int)
}

// NewMatrix wraps data, which must have exactly the bytes of rows x cols values of
// type t. Any alignment will do.
func NewMatrix(t Type, rows, cols int, data []byte) (*Matrix, error) {
	rb, err := t.RowBytes(cols)
	if err != nil {
		return nil, err
	}
	if rows < 0 || rb > 0 && rows > math.MaxInt/rb {
		return nil, fmt.Errorf("matrix of %d x %d in %v is too large", rows, cols, t)
	}
	if len(data) != rows*rb {
		return nil, fmt.Errorf("matrix of %d x %d in %v needs %d bytes, have %d", rows, cols, t, rows*rb, len(data))
	}
	return &Matrix{t: t, rows: rows, cols: cols, rowBytes: rb, data: data}, nil
}

// FromF32 wraps a float32 matrix [rows, cols] that the program made itself. It
// panics when len(w) != rows*cols. w is borrowed.
func FromF32(rows, cols int, w []float32) *Matrix {
	if rows < 0 || cols < 0 || len(w) != rows*cols {
		panic(fmt.Sprintf("quant: FromF32: %d values for %d x %d", len(w), rows, cols))
	}
	return &Matrix{t: F32, rows: rows, cols: cols, rowBytes: 4 * cols, data: bytesOf(w)}
}

// FloatColumns is what the kernels for float weights want a number of columns to be a
// multiple of; portable Go computes other matrices.
const FloatColumns = 16

// Lengthened returns m with columns of zeros up to a multiple of FloatColumns: m itself
// where there are as many or its type is not one of floats, else a copy.
func (m *Matrix) Lengthened() *Matrix {
	cols := (m.cols + FloatColumns - 1) / FloatColumns * FloatColumns
	if cols == m.cols || m.t != F32 && m.t != F16 && m.t != BF16 {
		return m
	}
	c := &Matrix{t: m.t, rows: m.rows, cols: cols, rowBytes: m.rowBytes / m.cols * cols}
	c.data = make([]byte, c.rows*c.rowBytes)
	for r := range m.rows {
		copy(c.data[r*c.rowBytes:], m.strip(r, r+1))
	}
	return c
}

// Rows returns the length of a product W x.
func (m *Matrix) Rows() int { return m.rows }

// Cols returns the length of a vector that W acts on.
func (m *Matrix) Cols() int { return m.cols }

// Type returns the storage format.
func (m *Matrix) Type() Type { return m.t }

// Bytes returns the stored bytes, of a packed matrix the weights without their scales.
// They are borrowed and must not be written.
func (m *Matrix) Bytes() []byte { return m.data }

// Row expands row i into dst, which has Cols values. It panics when i or the
// length is wrong.
func (m *Matrix) Row(dst []float32, i int) {
	if uint(i) >= uint(m.rows) || len(dst) != m.cols {
		panic(fmt.Sprintf("quant: Row: row %d into %d values of a %d x %d matrix", i, len(dst), m.rows, m.cols))
	}
	if m.t.Packed() {
		m.packedRow(dst, i)
		return
	}
	decode(m.t, dst, m.strip(i, i+1))
}

// strip returns the bytes of rows r0 to r1; whole row tiles if the matrix is packed.
func (m *Matrix) strip(r0, r1 int) []byte { return m.data[r0*m.rowBytes : r1*m.rowBytes] }

// bytesOf views values as the bytes that files have for them: all supported machines are
// little-endian.
func bytesOf(w []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), 4*len(w))
}
