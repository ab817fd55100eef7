package vlm

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/checkpoint"
)

// quantizer rounds the matrices of one file.
type quantizer struct {
	QuantizeOptions
	source *Source
	pool   *quant.Pool
	jobs   []*matrixJob
}

// matrixJob is a matrix on its way to a packed type.
type matrixJob struct {
	w          checkpoint.Weight
	hessian    *quant.Hessian
	inputs     int
	rounded    []roundedMatrix // one; with Bits indexed by inInt8 and inInt4
	use        int             // index of the one that the file gets
	divergence float64         // with int4 of this matrix alone; only with Bits
}

// Indices of matrixJob.rounded, with Bits.
const (
	inInt8 = iota
	inInt4
)

// roundedMatrix is a matrix in a packed type, with the squared errors of its products
// relative to theirs, on what was shown; 0 where it was not used there.
type roundedMatrix struct {
	*quant.Matrix
	err, nearest float64
}

func newQuantizer(s *Source, c Config, o QuantizeOptions) (*quantizer, error) {
	q := &quantizer{QuantizeOptions: o, source: s}
	var problems Problems
	for _, t := range s.check(slices.Clone(s.ckpt.Weights), c, &problems) {
		if tensorType(&t, o.Type).Packed() {
			q.jobs = append(q.jobs, &matrixJob{w: t})
		}
	}
	if problems.N > 0 {
		return nil, &problems
	}
	// As a picture meets them: what one pass rounds, the next one sees.
	slices.SortStableFunc(q.jobs, func(a, b *matrixJob) int { return cmp.Compare(stage(a.w.Name), stage(b.w.Name)) })
	q.pool = quant.NewPool(0)
	return q, nil
}

// stage orders matrices by when a picture meets them.
func stage(name string) int {
	stages := []string{"vit.", "proj.", "state_encoder.", "rwkv.blocks."}
	for i, prefix := range stages {
		if strings.HasPrefix(name, prefix) {
			return i
		}
	}
	return len(stages)
}

// types returns the types that a matrix is rounded to, in the order of matrixJob.rounded.
func (q *quantizer) types(w *checkpoint.Weight) []quant.Type {
	if q.Bits != 0 {
		return []quant.Type{inInt8: quant.P8, inInt4: quant.P4}
	}
	return []quant.Type{tensorType(w, q.Type)}
}

// learns reports whether the inputs of a matrix are observed. INT8 among INT4 is rounded to
// nearest: that leaves a tenth of the error of INT4 calibrated.
func (q *quantizer) learns(j *matrixJob) bool {
	return q.Type == quant.P8 || tensorType(&j.w, q.Type) == quant.P4
}

// packed returns the matrices rounded so far.
func (q *quantizer) packed() map[string]*quant.Matrix {
	all := map[string]*quant.Matrix{}
	for _, j := range q.jobs {
		if j.rounded != nil {
			all[j.w.Name] = j.rounded[j.use].Matrix
		}
	}
	return all
}

// compensate rounds all matrices.
func (q *quantizer) compensate(ctx context.Context) error {
	passes := q.passes()
	done := 0
	for i, jobs := range passes {
		if err := q.learn(ctx, jobs, fmt.Sprintf("pass %d of %d", i+1, len(passes))); err != nil {
			return err
		}
		for _, j := range jobs {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := q.round(ctx, j); err != nil {
				return fmt.Errorf("tensor %s: %w", j.w.Name, err)
			}
			if done++; done*10/len(q.jobs) > (done-1)*10/len(q.jobs) {
				q.Progress(fmt.Sprintf("%3d %% of matrices rounded", 100*done/len(q.jobs)))
			}
		}
	}
	return nil
}

// passes cuts the jobs into what is learned together.
func (q *quantizer) passes() (passes [][]*matrixJob) {
	var sum int64
	for _, j := range q.jobs {
		var n int64
		if q.learns(j) {
			n = quant.HessianBytes(j.cols())
		}
		if len(passes) == 0 || sum+n > q.Memory {
			passes, sum = append(passes, nil), 0
		}
		sum += n
		last := &passes[len(passes)-1]
		*last = append(*last, j)
	}
	return passes
}

func (j *matrixJob) cols() int { return j.w.Shape[1] }

// learn shows the calibration data to a model in which the inputs of some matrices are
// observed.
func (q *quantizer) learn(ctx context.Context, jobs []*matrixJob, pass string) error {
	observed := map[string]*quant.Hessian{}
	scratch := quant.NewScratch(q.pool)
	for _, j := range jobs {
		if q.learns(j) {
			j.hessian = quant.NewHessian(j.cols(), scratch)
			observed[j.w.Name] = j.hessian
		}
	}
	q.Progress(fmt.Sprintf("%s: learning what %d of %d matrices are multiplied with", pass, len(observed), len(q.jobs)))
	m, err := q.open(q.packed(), observed, nil)
	if err != nil {
		return err
	}
	defer m.pool.Close()
	return q.Show(ctx, m)
}

// open opens the model of the file with some matrices replaced and others observed; kept, if
// not nil, are pictures that models with the same towers have looked at. Its pool must be
// closed, the file stays open.
func (q *quantizer) open(replaced map[string]*quant.Matrix, observed map[string]*quant.Hessian, kept looked) (*Model, error) {
	return start(q.source.files[0], &Options{looked: kept, wrap: func(l quant.Loader) quant.Loader { return overlay{l, replaced, observed} }})
}

// overlay is a loader in which some matrices are replaced and others observed.
type overlay struct {
	quant.Loader
	replaced map[string]*quant.Matrix
	observed map[string]*quant.Hessian
}

func (o overlay) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	m, err := o.Loader.Matrix(name, rows, cols)
	if err != nil {
		return nil, err
	}
	if r := o.replaced[name]; r != nil {
		m = r
	}
	if h := o.observed[name]; h != nil {
		m = m.Observed(h.Add)
	}
	return m, nil
}

// round rounds one matrix, and spends what was learned about it.
func (q *quantizer) round(ctx context.Context, j *matrixJob) error {
	if j.hessian != nil {
		j.inputs = j.hessian.Count()
	}
	var c *quant.Compensation
	if j.inputs > 0 {
		var err error
		if c, err = quant.NewCompensation(j.hessian); err != nil {
			return err
		}
	}
	j.hessian = nil
	for _, t := range q.types(&j.w) {
		m, err := q.pack(ctx, j, c, t)
		if err != nil {
			return err
		}
		j.rounded = append(j.rounded, m)
	}
	if quant.HessianBytes(j.cols()) > 1<<24 {
		runtime.GC() // few objects, but each of many pages: the next one may use them
	}
	return nil
}

// measureEvery is how many row tiles are packed for one of which errors are measured too.
const measureEvery = 8

// pack packs one matrix; without c to nearest.
func (q *quantizer) pack(ctx context.Context, j *matrixJob, c *quant.Compensation, t quant.Type) (m roundedMatrix, err error) {
	rows, cols := j.w.Dims()
	nd, ns, ng, err := t.PackedSize(rows, cols)
	if err != nil {
		return m, err
	}
	data, scale, group := make([]byte, nd), make([]byte, ns), make([]byte, ng)
	tiles := rows / kernels.PackRows
	type tileErrors struct {
		got, nearest, all float64
		err               error
	}
	found := make([]tileErrors, tiles)
	workers := make(chan *packWorker, q.pool.Workers())
	for range q.pool.Workers() {
		w := &packWorker{values: make([]float32, kernels.PackRows*cols)}
		if w.read, err = j.w.Open(); err != nil {
			return m, err
		}
		if c != nil {
			w.packer = c.NewPacker()
		}
		workers <- w
	}
	q.pool.RunUntil(ctx.Done(), tiles, func(i int) {
		w, e := <-workers, &found[i]
		defer func() { workers <- w }()
		if e.err = w.read(w.values, i*len(w.values)); e.err != nil {
			return
		}
		d, s, g := part(data, i, tiles), part(scale, i, tiles), part(group, i, tiles)
		if w.packer == nil {
			e.err = quant.Pack(t, d, s, g, w.values, kernels.PackRows, cols)
			return
		}
		if e.got, e.err = w.packer.Pack(t, d, s, g, w.values); e.err == nil && i%measureEvery == 0 {
			e.nearest, e.all, e.err = w.packer.Nearest(t, w.values)
		}
	})
	var all float64
	for i, e := range found {
		if e.err != nil {
			return m, fmt.Errorf("from row %d: %w", i*kernels.PackRows, e.err)
		}
		if i%measureEvery == 0 {
			m.err, m.nearest, all = m.err+e.got, m.nearest+e.nearest, all+e.all
		}
	}
	if all > 0 {
		m.err, m.nearest = m.err/all, m.nearest/all
	}
	m.Matrix, err = quant.NewPacked(t, rows, cols, data, scale, group)
	return m, err
}

// packWorker is what a goroutine needs to pack row tiles.
type packWorker struct {
	packer *quant.Packer // nil to round to nearest
	read   checkpoint.Values
	values []float32
}
