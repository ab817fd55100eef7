package vlm_test

import (
	"image"
	"runtime"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// TestPlanScratch compares the buffers that a plan states with what a stream holds: models
// whose towers need far more than anything else.
func TestPlanScratch(t *testing.T) {
	text, _ := vocabulary()
	side, least := 256, 0.9
	if testing.Short() {
		side, least = 128, 0.85 // what a plan rounds up is more of a small tower
	}
	wide := tinymodel.Spec{Seed: 7, Vocab: 120, Image: side, Patch: 8, Width: 128, MLP: 512, GatedProjector: true}
	window := tinymodel.Spec{Seed: 8, Vocab: 120, Image: side, Patch: 8, Width: 128, Heads: 2, MLP: 512, Window: 7}
	class := wide
	class.Variant, class.GatedProjector = "bidirectional", false
	for name, c := range map[string]struct {
		file   []byte
		path   string
		config string
		size   int // of the pictures: that of the tower, so that nothing is resized
	}{
		"clip":   {file: tinymodel.New(class).Safetensors(), config: `{"vision.clip.head_count": 2}`, size: side},
		"siglip": {file: tinymodel.New(wide).Safetensors(), config: `{"vision.siglip.head_count": 2}`, size: side},
		"sam":    {file: tinymodel.New(window).Safetensors(), config: `{}`, size: side},
		"three":  {path: e2e + "hm21_e2e.bf16.pth", config: e2eConfig, size: 128},
	} {
		f, err := weights.OpenBytes("tiny", c.file)
		if c.path != "" {
			f, err = weights.Open(c.path)
		}
		if err != nil {
			t.Fatal(err)
		}
		config, err := vlm.Describe(f, []byte(c.config), text)
		if err != nil {
			t.Fatal(err)
		}
		path := t.TempDir() + "/model.gguf"
		if err := convertFile(t, path, f, config, quant.P8); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if f, err = weights.Open(path); err != nil {
			t.Fatal(err)
		}
		views := min(3, config.MaxViews())
		plan := config.Plan(vlm.FileSizes(f), 1, views)
		f.Close()
		m, err := vlm.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var pictures []image.Image
		for i := range views {
			p := image.NewRGBA(image.Rect(0, 0, c.size, c.size))
			p.Pix[0] = uint8(i)
			pictures = append(pictures, p)
		}
		s := stream(t, m)
		seeAll(t, s, pictures...)
		with := heap()
		runtime.KeepAlive(s)
		s = nil // and with it what it holds
		got, want := with-heap(), plan.Scratch+plan.Stream
		t.Logf("%s: a stream holds %d bytes, %d planned, %.3f", name, got, want, float64(got)/float64(want))
		if ratio := float64(got) / float64(want); ratio < least || ratio > 1.1 {
			t.Errorf("%s: a stream holds %d bytes, %d planned", name, got, want)
		}
		m.Close()
	}
}

// heap returns the bytes in use.
func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found to be finalised
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
