package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/weights"
)

// lmConfig is one model of a language model index.
type lmConfig struct {
	Hyper   hyper     `json:"hyperparameters"`
	Weights oneOrMore `json:"weights"`
	Golden  string    `json:"golden"`
	Images  []string  `json:"images"`
	Ref     string    `json:"reference"` // of variants
}

// hyper are the sizes that shapes do not tell, and some that they do.
type hyper struct {
	DecoderTokens int                  `json:"num_token_per_image"`
	EncoderTokens int                  `json:"state_encoder_num_token_per_image"`
	ImageToken    int                  `json:"image_token_index"`
	PadToken      int                  `json:"pad_token"`
	LNEps         float32              `json:"ln_eps"`
	GNEps         float32              `json:"ln_x_eps"`
	Mixer         string               `json:"mixer"`
	Towers        map[string]towerSpec `json:"towers"`
}

// oneOrMore reads a string or an array of strings.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err == nil {
		*o = oneOrMore{s}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(o))
}

// checkpoints sorts the weight files of a config by what is in them.
type checkpoints struct {
	main  string   // what the golden vectors were computed from
	bf16  string   // a bfloat16 file, for the "bf16w." tensors; may be main
	split []string // the two halves of an export, if any
}

func (r *run) checkpoints(files []string) (c checkpoints, err error) {
	for _, name := range files {
		f, err := r.open(name)
		if err != nil {
			return c, err
		}
		emb, proj := f.Lookup("rwkv.emb.weight"), f.Lookup("proj.weight")
		if proj == nil {
			proj = f.Lookup("proj.proj.weight")
		}
		switch {
		case emb == nil || proj == nil:
			c.split = append(c.split, name)
		case emb.Type == weights.BF16:
			c.bf16 = name
		case c.main == "" || emb.Type == weights.F32:
			c.main = name
		}
		f.Close()
	}
	if c.main == "" {
		c.main = c.bf16
	}
	if c.main == "" {
		return c, fmt.Errorf("no whole checkpoint among %v: %w", files, ErrIndex)
	}
	return c, nil
}

// lm checks one model.
func (r *run) lm(name string, c lmConfig) error {
	switch {
	case strings.HasSuffix(c.Ref, "/v7.00"):
		return r.rwkv7(name, c)
	case strings.HasSuffix(c.Ref, "/v6.0"):
		return r.bidirectional(name, c)
	case c.Ref != "":
		r.skip(name, "%s: this version does not run that variant", c.Ref)
		return nil
	}
	files, err := r.checkpoints(c.Weights)
	if err != nil {
		return err
	}
	g, err := r.golden(name, c.Golden)
	if err != nil {
		return err
	}
	defer g.close()

	m, err := r.model(c.Hyper, files.main)
	if err != nil {
		return err
	}
	defer m.close()
	if slices.Contains([]string{"hybrid", "cross", "vanilla"}, c.Hyper.Mixer) {
		r.row(name, "hyperparameters.mixer", b2f(m.dec.Variant().String() != c.Hyper.Mixer), 0)
	}
	if err := r.towers(g, m, c); err != nil {
		return err
	}
	p, err := m.pictures(g)
	if err != nil {
		return err
	}
	for _, check := range []func(*golden, *pictures) error{
		m.checkProjector, m.checkEncoder, m.checkStream, m.checkDecoder, m.checkGeneration,
		m.checkZeroState, m.checkNoFill, m.checkBatch, m.checkFold,
	} {
		if err := check(g, p); err != nil {
			return err
		}
	}
	if files.bf16 != "" && slices.ContainsFunc(g.f.Tensors(), func(t *weights.Tensor) bool { return strings.HasPrefix(t.Name, "bf16w.") }) {
		if err := r.bf16(c, files.bf16, g); err != nil {
			return err
		}
	}
	if len(files.split) > 1 {
		return r.split(name, c, files, g)
	}
	return nil
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// bf16 repeats the end-to-end checks with the weights in bfloat16.
func (r *run) bf16(c lmConfig, file string, g *golden) error {
	m, err := r.model(c.Hyper, file)
	if err != nil {
		return err
	}
	defer m.close()
	p, err := m.pictures(g)
	if err != nil {
		return err
	}
	if err := m.encode(p); err != nil {
		return err
	}
	if err := g.check("bf16w.image_state", p.image); err != nil {
		return err
	}
	return m.generate(g, p, "bf16w.gen.")
}

// split opens the two halves of an export as one model. Its weights are half
// precision, so its values agree with the reference only to that rounding; that
// each weight is the main file's, rounded, is exact.
func (r *run) split(name string, c lmConfig, files checkpoints, g *golden) error {
	m, err := r.model(c.Hyper, files.split...)
	if err != nil {
		return err
	}
	defer m.close()
	f, err := r.open(files.main)
	if err != nil {
		return err
	}
	defer f.Close()
	differ, err := differing(f, m.file)
	if err != nil {
		return err
	}
	r.row(name, "split.weights", float64(differ), 0)

	p, err := m.pictures(g)
	if err != nil {
		return err
	}
	if err := m.encode(p); err != nil {
		return err
	}
	logits, err := m.logitsLast(p, p.image)
	if err != nil {
		return err
	}
	for _, t := range []struct {
		name string
		got  []float32
	}{{"image_state", p.image}, {"dec.logits", logits}} {
		want := g.f.Lookup(t.name)
		if want == nil || want.Len() < len(t.got) {
			continue
		}
		w := make([]float32, len(t.got))
		if err := want.Float32At(w, want.Len()-len(w)); err != nil {
			return err
		}
		worst, top := distance(t.got, w)
		r.row(name, "split."+t.name, worst, 1e-2*max(1, top))
	}
	return nil
}

// differing counts the values of half that are not those of main rounded to
// half's type, and the tensors that one of them lacks.
func differing(main, half *weights.File) (int, error) {
	n := 0
	for _, t := range main.Tensors() {
		if half.Lookup(t.Name) == nil {
			n++
		}
	}
	for _, t := range half.Tensors() {
		o := main.Lookup(t.Name)
		if o == nil || o.Len() != t.Len() {
			n++
			continue
		}
		a, b := make([]float32, t.Len()), make([]float32, t.Len())
		if err := t.Float32(a); err != nil {
			return 0, err
		}
		if err := o.Float32(b); err != nil {
			return 0, err
		}
		for i := range a {
			if a[i] != roundTo(t.Type, b[i]) {
				n++
			}
		}
	}
	return n, nil
}
