package vlm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/visualrwkv/edged/quant"
)

// QuantizeOptions tell [Source.Quantize] what to make, and from what it learns what matters.
type QuantizeOptions struct {
	// Type of the large matrices: int8 or int4.
	Type quant.Type

	// Bits, if not 0, chooses between int4 and int8 for each matrix instead, those of
	// towers, projector and head included: int8 where it lowers Divergence most for its
	// bytes, as long as the mean number of bits per value, scales included, is no more
	// than Bits.
	Bits float64

	// Show shows a model typical pictures and questions: the inputs that its matrices
	// get are what errors are weighed with. It is called once for each pass, must do the
	// same each time, and use one stream at a time.
	Show func(ctx context.Context, m *Model) error

	// Divergence tells how far a model is from the one that it was called with first,
	// the original. Only Bits needs it, once for each matrix, so it should be quick. The
	// image tokens of all pictures that it looks at are kept.
	Divergence func(ctx context.Context, m *Model) (float64, error)

	// Measure, if not nil, looks at the finished file and adds what it finds to r, which
	// becomes part of the file. The path is not the final one.
	Measure func(ctx context.Context, path string, r *Quantization) error

	// Calibration is a word for what Show shows.
	Calibration string

	// Memory bounds the bytes of what is learned in one pass; 0 means 5.5 GiB. What does
	// not fit is learned in further passes.
	Memory int64

	// Progress, if not nil, is told in words what has been done.
	Progress func(what string)
}

// defaultMemory holds what is learned of decoder and state encoder of a 1.6B model, so that
// int4 takes one pass and less than 12 GB with everything else.
const defaultMemory = 5632 << 20

// Quantize writes the model of one file, described by c, to a GGUF file at path, as
// [Source.Convert] does with a packed type, but with errors of rounding that make up for each other on
// what o shows (package quant, Compensation). Matrices that are not used there, and those
// whose sizes packed types cannot hold, are rounded to nearest. The file says how far
// from the original it is: see [Quantization].
func (s *Source) Quantize(ctx context.Context, path string, c Config, o QuantizeOptions) (*Quantization, error) {
	if !o.Type.Packed() && o.Bits == 0 {
		return nil, fmt.Errorf("cannot quantise to %v with calibration", o.Type)
	}
	if o.Bits != 0 {
		o.Type = quant.P8 // every matrix that can be int8 can be int4
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if len(s.files) != 1 {
		return nil, fmt.Errorf("%d files, want one with all tensors: %w", len(s.files), ErrConfig)
	}
	q, err := newQuantizer(s, c, o)
	if err != nil {
		return nil, err
	}
	defer q.pool.Close()
	if o.Bits != 0 {
		if _, _, err := q.budget(); err != nil { // before hours of work
			return nil, err
		}
	}
	if err := q.compensate(ctx); err != nil {
		return nil, err
	}
	if o.Bits != 0 {
		if err := q.choose(ctx); err != nil {
			return nil, err
		}
	}
	r := q.report()
	if o.Measure != nil {
		if err := q.measure(ctx, path, c, r); err != nil {
			return nil, err
		}
	}
	return r, s.convert(ctx, path, c, conversion{typ: o.Type, packed: q.packed(), meta: r.metadata()})
}

// measure measures a file that has everything but the result, beside the one that is to
// be: there is room for it.
func (q *quantizer) measure(ctx context.Context, path string, c Config, r *Quantization) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".quantize-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, filepath.Base(path))
	if err := q.source.convert(ctx, file, c, conversion{typ: q.Type, packed: q.packed()}); err != nil {
		return err
	}
	return q.Measure(ctx, file, r)
}
