// Package layout lists the tensors of VisualRWKV models of any size, with the authors' names
// (docs/model-file.md), and how the values of a random one are spread. What fills them, and
// where to, is the caller's: small models for tests, large files for benchmarks.
package layout

import "math"

// Role tells what type a tensor has in a file of a given type, by the rules of `edged
// convert`.
type Role uint8

const (
	Vector    Role = iota // float32
	Low                   // half precision: LoRA matrices, convolutions, positions
	Matrix                // the type of the file
	Sensitive             // the type of the file, but not below 8 bits: embedding and head
	Lookup                // as Sensitive, but never packed: the embedding
)

// Tensor is a tensor whose values have a standard deviation of Spread about Centre, which is
// 0 for all but vectors.
type Tensor struct {
	Name           string
	Role           Role
	Centre, Spread float64
	Shape          []int // PyTorch's order
}

// Len returns the number of values.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// List collects tensors.
type List []Tensor

// Add appends a tensor.
func (l *List) Add(name string, r Role, centre, spread float64, shape ...int) {
	*l = append(*l, Tensor{name, r, centre, spread, shape})
}

// Linear appends name.weight [out, in], which keeps what passes through at its magnitude.
func (l *List) Linear(name string, out, in int) {
	l.Add(name+".weight", Matrix, 0, 1/math.Sqrt(float64(in)), out, in)
}

// Biased appends a Linear with name.bias [out].
func (l *List) Biased(name string, out, in int) {
	l.Linear(name, out, in)
	l.Add(name+".bias", Vector, 0, 0.1, out)
}

// Norm appends name.weight and name.bias, both [c].
func (l *List) Norm(name string, c int) {
	l.Add(name+".weight", Vector, 1, 0.1, c)
	l.Add(name+".bias", Vector, 0, 0.1, c)
}
