package vlm_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/preprocess"
	"github.com/visualrwkv/edged/weights"
)

// A model with three small towers, and what the authors' code makes of six pictures, three
// frames of two views.
const (
	e2e       = "verify/testdata/hm21_e2e/"
	e2eConfig = `{"image.token_index": 255, "image.decoder_tokens": 4, "image.encoder_tokens": 16,
		"vision.dino.head_count": 2, "vision.siglip.head_count": 3}`
)

func openE2E(t testing.TB, change func(*vlm.Options)) *vlm.Model {
	t.Helper()
	o := &vlm.Options{Config: []byte(e2eConfig)}
	if change != nil {
		change(o)
	}
	m, err := vlm.Open(e2e+"hm21_e2e.bf16.pth", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// frameSets are the pictures, by frame and view.
func frameSets(t testing.TB) (frames [3][]image.Image) {
	t.Helper()
	for f := range frames {
		for v := range 2 {
			p, err := preprocess.DecodeFile(fmt.Sprintf("%sframe%d_view%d.png", e2e, f, v), nil)
			if err != nil {
				t.Fatal(err)
			}
			frames[f] = append(frames[f], p)
		}
	}
	return frames
}

func seeAll(t testing.TB, s *vlm.Stream, views ...image.Image) {
	t.Helper()
	if err := s.See(context.Background(), views...); err != nil {
		t.Fatal(err)
	}
}

// TestThreeTowers: the memory after six pictures is that of the authors' code.
func TestThreeTowers(t *testing.T) {
	m := openE2E(t, nil)
	if c := m.Config(); len(c.Towers) != 3 || c.Towers[0].Kind != "dino" || c.Towers[1].Kind != "siglip" || c.Towers[2].Kind != "sam" || c.Grid() != 4 {
		t.Fatalf("towers %+v", c.Towers)
	}
	s := stream(t, m)
	for _, views := range frameSets(t) {
		seeAll(t, s, views...)
	}
	f, err := weights.Open(e2e + "hm21_e2e.golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make([]float32, len(s.ImageState()))
	if x := f.Lookup("image_state"); x.Len() != len(want) {
		t.Fatalf("image state of %d values, want %d", len(want), x.Len())
	} else if err := x.Float32(want); err != nil {
		t.Fatal(err)
	}
	far, top := 0.0, 1.0
	for i, x := range want {
		far = max(far, math.Abs(float64(x-s.ImageState()[i])))
		top = max(top, math.Abs(float64(x)))
	}
	t.Logf("image state is %g off, of %g", far, top)
	if far > 1e-4*top {
		t.Errorf("image state is %g off, of %g", far, top)
	}
}

// TestUnchanged: a picture that did not change goes through no tower, and the memory has
// the same bits as if it had.
func TestUnchanged(t *testing.T) {
	m := openE2E(t, nil)
	frames := frameSets(t)
	a, b, c := frames[0][0], frames[0][1], frames[1][0]
	// Another picture of the same pixels, and one that differs in a bit.
	same := clone(a)
	nearly := clone(a)
	nearly.Pix[0] ^= 1
	sets := []struct {
		views  []image.Image
		looked int
	}{
		{[]image.Image{a, b}, 2},
		{[]image.Image{a, b}, 0},
		{[]image.Image{same, b}, 0},
		{[]image.Image{c, b}, 1},
		{[]image.Image{b, c}, 2}, // views changed places
		{[]image.Image{b}, 0},
		{[]image.Image{b, c, c}, 1},
		{[]image.Image{nearly, c, c}, 1},
		{[]image.Image{a, c, c}, 1},
	}
	s := stream(t, m)
	n := map[string]int{}
	s.Looked(n)
	var state []byte
	for i, set := range sets {
		before := n["sam"]
		seeAll(t, s, set.views...)
		if got := n["sam"] - before; got != set.looked || n["dino"] != n["sam"] || n["siglip"] != n["sam"] {
			t.Errorf("frame set %d: %d pictures went through the towers, want %d; all: %v", i, got, set.looked, n)
		}
		// A stream that has seen no picture before.
		fresh := stream(t, m)
		if state != nil {
			if err := fresh.SetState(state); err != nil {
				t.Fatal(err)
			}
		}
		seeAll(t, fresh, set.views...)
		state = s.State()
		if !slices.Equal(fresh.State(), state) {
			t.Fatalf("frame set %d: the state differs from that of a stream that looked", i)
		}
	}

	// A frame set that failed half way leaves nothing behind that is not true.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.See(ctx, c, c, a); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := s.See(context.Background(), c, nil, a); err == nil {
		t.Fatal("saw no picture")
	}
	seeAll(t, s, c, c, a)
	fresh := stream(t, m)
	if err := fresh.SetState(state); err != nil {
		t.Fatal(err)
	}
	seeAll(t, fresh, c, c, a)
	if !slices.Equal(fresh.State(), s.State()) {
		t.Error("after a failure the state differs from that of a stream that looked")
	}
}

func clone(p image.Image) *image.RGBA {
	m := image.NewRGBA(p.Bounds())
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			m.Set(x, y, p.At(x, y))
		}
	}
	return m
}

// TestUnchangedDoesNotAllocate: neither do pictures that change.
func TestUnchangedDoesNotAllocate(t *testing.T) {
	s := stream(t, openE2E(t, func(o *vlm.Options) { o.Threads = 1 }))
	frames := frameSets(t)
	step := func() {
		seeAll(t, s, frames[0]...)
		seeAll(t, s, frames[0][0], frames[1][0])
	}
	step()
	if n := testing.AllocsPerRun(2, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestThreeTowersConvert: int8 towers side by side see nearly the same.
func TestThreeTowersConvert(t *testing.T) {
	f, err := weights.Open(e2e + "hm21_e2e.bf16.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := vlm.Describe(f, []byte(e2eConfig), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/towers.gguf"
	if err := convertFile(t, path, f, c, quant.P8); err != nil {
		t.Fatal(err)
	}
	m, err := vlm.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	a, b := stream(t, m), stream(t, openE2E(t, nil))
	views := frameSets(t)[0]
	seeAll(t, a, views...)
	seeAll(t, b, views...)
	far, top := 0.0, 0.0
	for i, x := range b.ImageState() {
		far = max(far, math.Abs(float64(x-a.ImageState()[i])))
		top = max(top, math.Abs(float64(x)))
	}
	t.Logf("image state is %g off, of %g", far, top)
	if far > 0.1*top {
		t.Errorf("image state is %g off, of %g", far, top)
	}
}
