// Package verify compares this runtime with reference vectors made by the
// authors' code: intermediate values, states, logits and tokens, tensor by
// tensor. It is what `edged verify` runs, on a build machine as a test and on a
// new board as a self-test.
//
// A set of vectors is an index, a JSON file, with checkpoints and safetensors
// files beside it. Two kinds of index are known: language models (with
// "configs") and vision (with "towers" or "preprocess"). Names of
// configurations, sizes and files all come from the index.
package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// Row is the comparison of one tensor.
type Row struct {
	Config string  `json:"config"`
	Tensor string  `json:"tensor"`
	Error  float64 `json:"error"` // largest absolute difference; for tokens and bytes, how many differ
	Bound  float64 `json:"bound"`
	OK     bool    `json:"ok"`
}

// Skip is something that was not compared.
type Skip struct {
	Config string `json:"config"`
	Why    string `json:"why"`
}

// Unknown is a reference tensor of a compared configuration that was not
// compared.
type Unknown struct {
	Config string `json:"config"`
	Tensor string `json:"tensor"`
	Why    string `json:"why"`
}

// Report is the result of a run.
type Report struct {
	Rows      []Row     `json:"rows"`
	Skipped   []Skip    `json:"skipped"`
	Unchecked []Unknown `json:"unchecked"`
	Backend   string    `json:"backend"`
	GivenUp   []string  `json:"given_up,omitempty"` // sentences about kernels that failed their check
	OK        bool      `json:"ok"`                 // there are rows, and all are within their bounds
}

// Options change how a run computes. The zero value is good.
type Options struct {
	Threads int // workers; 0 means one per CPU
}

// ErrIndex is wrapped by errors about an index or the files it names.
var ErrIndex = errors.New("bad set of reference vectors")

// Run checks the set whose index is at path. The error is about files that
// cannot be read or make no sense; values that differ are rows of the report.
func Run(ctx context.Context, path string, o *Options) (*Report, error) {
	if o == nil {
		o = &Options{}
	}
	ix, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	givenUp := vlm.BackendsGivenUp() // may change the backend
	pool := quant.NewPool(o.Threads)
	defer pool.Close()
	r := &run{
		ctx: ctx, dir: filepath.Dir(path), pool: pool,
		report: &Report{Rows: []Row{}, Skipped: []Skip{}, Unchecked: []Unknown{}, Backend: vlm.Backend(), GivenUp: givenUp},
	}
	if err := r.all(ix); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	rep := r.report
	rep.OK = len(rep.Rows) > 0 && !slices.ContainsFunc(rep.Rows, func(w Row) bool { return !w.OK })
	return rep, nil
}

// run is a run in progress.
type run struct {
	ctx    context.Context
	dir    string
	pool   *quant.Pool
	report *Report
}

func (r *run) all(ix *index) error {
	for _, name := range sortedKeys(ix.Configs) {
		if err := r.lm(name, ix.Configs[name]); err != nil {
			return fmt.Errorf("config %.100s: %w", name, err)
		}
	}
	for _, name := range sortedKeys(ix.Towers) {
		if err := r.tower(name, ix.Towers[name]); err != nil {
			return fmt.Errorf("tower %.100s: %w", name, err)
		}
	}
	if ix.Preprocess != nil {
		if err := r.preprocess(ix.Preprocess); err != nil {
			return fmt.Errorf("preprocess: %w", err)
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (r *run) skip(config, format string, args ...any) {
	r.report.Skipped = append(r.report.Skipped, Skip{config, fmt.Sprintf(format, args...)})
}

// path joins a file name of the index with its folder, from which it must not
// lead out.
func (r *run) path(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("file name %.20q... of %d bytes, more than %d: %w", name, len(name), maxName, ErrIndex)
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("file name %q leads out of the index's folder: %w", name, ErrIndex)
	}
	return filepath.Join(r.dir, filepath.FromSlash(name)), nil
}

func (r *run) open(names ...string) (*weights.File, error) {
	var paths []string
	for _, n := range names {
		p, err := r.path(n)
		if err != nil {
			return nil, err
		}
		paths = append(paths, p)
	}
	return weights.OpenAll(paths...)
}

// golden is one file of reference tensors, and what of it was used.
type golden struct {
	r      *run
	config string
	f      *weights.File
	used   map[string]bool
}

func (r *run) golden(config, file string) (*golden, error) {
	f, err := r.open(file)
	if err != nil {
		return nil, err
	}
	return &golden{r, config, f, map[string]bool{}}, nil
}

func (g *golden) has(name string) bool { return g.f.Lookup(name) != nil }

// floats reads an input of shape want; -1 is any size.
func (g *golden) floats(name string, want ...int) (v []float32, shape []int, err error) {
	t := g.f.Lookup(name)
	if t == nil {
		return nil, nil, fmt.Errorf("tensor %s is missing: %w", name, ErrIndex)
	}
	if len(want) != len(t.Shape) {
		return nil, nil, fmt.Errorf("tensor %s: shape %v, want %v: %w", name, t.Shape, want, ErrIndex)
	}
	for i, d := range want {
		if d >= 0 && d != t.Shape[i] || t.Shape[i] < 1 {
			return nil, nil, fmt.Errorf("tensor %s: shape %v, want %v: %w", name, t.Shape, want, ErrIndex)
		}
	}
	g.used[name] = true
	v = make([]float32, t.Len())
	return v, t.Shape, t.Float32(v)
}

// check compares got with the reference tensor of that name, if there is one,
// under the project's bound for float32: 1e-4 of the largest magnitude, at
// least 1e-4.
func (g *golden) check(name string, got []float32) error {
	return g.checkWithin(name, got, 1e-4)
}

func (g *golden) checkWithin(name string, got []float32, rel float64) error {
	t := g.f.Lookup(name)
	if t == nil {
		return nil
	}
	want := make([]float32, t.Len())
	if err := t.Float32(want); err != nil {
		return err
	}
	if len(want) != len(got) {
		return fmt.Errorf("tensor %s: shape %v has %d values, the model gives %d: %w", name, t.Shape, len(want), len(got), ErrIndex)
	}
	g.used[name] = true
	worst, top := distance(got, want)
	g.r.row(g.config, name, worst, rel*max(1, top))
	return nil
}

// row adds a comparison. A value that is not finite becomes the largest
// number, which JSON can hold and no bound reaches.
func (r *run) row(config, name string, err, bound float64) {
	if math.IsNaN(err) || math.IsInf(err, 0) {
		err = math.MaxFloat64
	}
	r.report.Rows = append(r.report.Rows, Row{config, name, err, bound, err <= bound})
}

// distance returns the largest |a-b| and the largest finite |b|. A value that
// is not finite on either side makes the distance infinite.
func distance(a, b []float32) (worst, top float64) {
	for i, w := range b {
		d := math.Abs(float64(a[i]) - float64(w))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		worst = max(worst, d)
		if w := math.Abs(float64(w)); w <= math.MaxFloat32 {
			top = max(top, w)
		}
	}
	return worst, top
}

// close reports the tensors nobody asked for, and closes the file.
func (g *golden) close() {
	for _, t := range g.f.Tensors() {
		if g.used[t.Name] {
			continue
		}
		g.r.report.Unchecked = append(g.r.report.Unchecked, Unknown{g.config, t.Name, "this version knows no such tensor"})
	}
	g.f.Close()
}
