package weights

import "io"

// Tensor is one named array of an open [File]. It may be used by many
// goroutines at once.
type Tensor struct {
	Name  string // the authors' name, verbatim
	Type  DType
	Shape []int // PyTorch's order: the last dimension runs fastest

	src  *source
	data []byte // from the first element to the last one, borrowed
	// strides, in elements, is nil for a contiguous tensor.
	strides *[maxDims]int
	off     int64 // of data in the file
}

// source is one file, for errors.
type source struct{ name string }

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n, _ := count(t.Shape) // checked when the file was opened
	return n
}

// Size returns the number of bytes that [Tensor.Data] has.
func (t *Tensor) Size() int {
	n, _ := t.Type.Size(t.Shape) // checked when the file was opened
	return n
}

// Offset returns the byte of the tensor's first element in its file.
func (t *Tensor) Offset() int64 { return t.off }

// File returns the name of the file that holds the tensor.
func (t *Tensor) File() string { return t.src.name }

// Borrowed reports whether Data returns memory of the file itself, in which
// case it costs nothing to call.
func (t *Tensor) Borrowed() bool { return t.strides == nil }

// Data returns the elements in row-major order, little endian, in blocks for
// quantised types. Usually that is memory of the file, borrowed until
// [File.Close] and not to be written. A tensor with strides is gathered into
// new memory by each call; [Tensor.WriteTo] and [Tensor.Float32At] do without.
//
// A file may also hold types that this package can list but not decode; asking
// for their data is an error that wraps [ErrFormat].
func (t *Tensor) Data() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.strides == nil {
		return t.data, nil
	}
	b := make([]byte, t.Size()) // at most the size of the storage: see newStrided
	t.gather(b, 0)
	return b, nil
}

// Bytes is [Tensor.Data] without the error: nil for types that cannot be read.
func (t *Tensor) Bytes() []byte {
	b, _ := t.Data()
	return b
}

func (t *Tensor) check() error {
	if layouts[t.Type].opaque {
		return badItem(t.src.name, tensorItem(t.Name), t.off, "type %s can be listed but not read", t.Type)
	}
	return nil
}

// chunk is the size of the buffers for strided tensors.
const chunk = 64 << 10

// WriteTo writes what Data returns, without gathering it as a whole.
func (t *Tensor) WriteTo(w io.Writer) (int64, error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	if t.strides == nil {
		n, err := w.Write(t.data)
		return int64(n), err
	}
	es := layouts[t.Type].bytes
	buf := make([]byte, min(chunk, t.Size()))
	var done int64
	for first, n := 0, t.Len(); first < n; {
		part := buf[:min(len(buf), (n-first)*es)]
		t.gather(part, first)
		m, err := w.Write(part)
		done += int64(m)
		if err != nil {
			return done, err
		}
		first += len(part) / es
	}
	return done, nil
}

// gather copies elements of a strided tensor, in row-major order from element
// first on, until dst is full.
func (t *Tensor) gather(dst []byte, first int) {
	es := layouts[t.Type].bytes
	last := len(t.Shape) - 1
	var at [maxDims]int // index of the current element
	pos := 0            // and its place, in elements
	for i, rest := last, first; i >= 0; i-- {
		at[i] = rest % t.Shape[i]
		rest /= t.Shape[i]
		pos += at[i] * t.strides[i]
	}
	for len(dst) > 0 {
		run := min(t.Shape[last]-at[last], len(dst)/es)
		if t.strides[last] == 1 {
			copy(dst[:run*es], t.data[pos*es:])
		} else {
			for i, p := 0, pos*es; i < run; i, p = i+1, p+t.strides[last]*es {
				copy(dst[i*es:(i+1)*es], t.data[p:])
			}
		}
		dst = dst[run*es:]
		pos -= at[last] * t.strides[last]
		at[last] = 0
		for i := last - 1; i >= 0; i-- {
			pos += t.strides[i]
			if at[i]++; at[i] < t.Shape[i] {
				break
			}
			pos -= at[i] * t.strides[i]
			at[i] = 0
		}
	}
}
