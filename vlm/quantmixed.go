package vlm

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/visualrwkv/edged/quant"
)

// choose decides which matrices are int4 and which int8: each is tried in int4 alone,
// and those that make the model diverge most for the bytes that they save stay int8. Beside
// it all are as in the original: in int8 their own rounding of the activations would differ
// with every change before them, which hides how little most of a tower matters.
func (q *quantizer) choose(ctx context.Context) error {
	bytes, limit, err := q.budget()
	if err != nil {
		return err
	}
	for _, j := range q.jobs {
		j.use = inInt4
	}
	kept := looked{}
	if err := q.diverge(ctx, nil, kept, new(float64)); err != nil {
		return err
	}
	for i, j := range q.jobs {
		if j.inputs == 0 {
			continue // not used
		}
		of := kept
		if seeing(j.w.Name) {
			of = nil
		}
		if err := q.diverge(ctx, map[string]*quant.Matrix{j.w.Name: j.rounded[inInt4].Matrix}, of, &j.divergence); err != nil {
			return err
		}
		if (i+1)*10/len(q.jobs) > i*10/len(q.jobs) {
			q.Progress(fmt.Sprintf("%3d %% of matrices tried in int4", 100*(i+1)/len(q.jobs)))
		}
	}
	worth := func(j *matrixJob) float64 { return j.divergence / float64(j.extra()) }
	order := slices.Clone(q.jobs)
	slices.SortStableFunc(order, func(a, b *matrixJob) int { return cmp.Compare(worth(b), worth(a)) })
	for _, j := range order {
		if n := j.extra(); j.inputs > 0 && bytes+n <= limit {
			bytes += n
			j.use = inInt8
		}
	}
	return nil
}

// budget returns the bytes of all matrices in int4, and those that there may be.
func (q *quantizer) budget() (bytes, limit int64, err error) {
	var values int64
	for _, j := range q.jobs {
		data, scale, group, err := quant.P4.PackedSize(j.w.Dims())
		if err != nil {
			return 0, 0, fmt.Errorf("tensor %s: %w", j.w.Name, err)
		}
		values += int64(j.w.Len())
		bytes += int64(data + scale + group)
	}
	if limit = int64(q.Bits * float64(values) / 8); bytes > limit {
		return 0, 0, fmt.Errorf("with all matrices in int4 there are %.2f bits per value, more than %g", 8*float64(bytes)/float64(values), q.Bits)
	}
	return bytes, limit, nil
}

// extra returns the bytes that int8 takes more than int4.
func (j *matrixJob) extra() int64 {
	return packedBytes(j.rounded[inInt8].Matrix) - packedBytes(j.rounded[inInt4].Matrix)
}

// diverge sets d to the divergence of the model with some matrices replaced.
func (q *quantizer) diverge(ctx context.Context, replaced map[string]*quant.Matrix, kept looked, d *float64) error {
	m, err := q.open(replaced, nil, kept)
	if err != nil {
		return err
	}
	defer m.pool.Close()
	*d, err = q.Divergence(ctx, m)
	return err
}

// packedBytes returns the bytes of all parts.
func packedBytes(m *quant.Matrix) int64 {
	data, scale, group := m.Parts()
	return int64(len(data) + len(scale) + len(group))
}
