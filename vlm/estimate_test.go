package vlm_test

import (
	"path/filepath"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// Every part of a model of any kind that runs is measured, and one that does not is refused.
func TestEstimate(t *testing.T) {
	for _, spec := range allVariants {
		s := source(t, tinymodel.New(spec).Tensors)
		c, err := s.Describe([]byte(towerConfig), nil)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := s.Convert(t.Context(), path, c, quant.F16, nil); err != nil {
			t.Fatal(err)
		}
		f, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if c, err = vlm.Describe(f, nil, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Estimate(vlm.FileSizes(f), c.MaxViews()+1); err == nil {
			t.Errorf("%+v: an estimate for more views than the model takes", spec)
		}
		e, err := c.Estimate(vlm.FileSizes(f), min(2, c.MaxViews()))
		if runs := c.Runnable() == nil && len(c.Towers) > 0; (err == nil) != runs {
			t.Errorf("%+v: %v", spec, err)
			continue
		} else if !runs {
			continue
		}
		if e.Vision <= 0 || (e.Encode > 0) != (c.EncoderBlocks > 0) || e.Prompt <= 0 || e.Token <= 0 || e.Caption <= e.Vision || e.CPUShare < 0 || e.CPUShare > 1 {
			t.Errorf("%+v: %+v", spec, e)
		}
	}
}
