package quant

// Loader finds weights by name. Layers bind their weights through it, so that
// they need to know neither file formats nor each other.
type Loader interface {
	// Matrix returns a tensor as a matrix: rows is its first dimension, cols the
	// product of the others. -1 accepts any size. The error names the tensor and
	// says whether it is missing or has another shape.
	Matrix(name string, rows, cols int) (*Matrix, error)

	// Vector returns a tensor of any shape, flattened and converted to float32, as
	// the caller's own copy. n is the number of values, -1 for any.
	Vector(name string, n int) ([]float32, error)

	// Shape returns the dimensions in row-major order (PyTorch's), or nil when
	// there is no such tensor.
	Shape(name string) []int
}
