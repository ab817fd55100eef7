package edge

import (
	"image"
	"slices"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// watchMasked watches a film of which a secret fills the upper left quarter, with that
// masked or not, and returns what a model made of it: a hash of all it was shown.
func watchMasked(t *testing.T, secret uint8, masked bool) []string {
	t.Helper()
	f := newFilm(5)
	f.paint = func(img *image.RGBA) {
		for y := range 12 {
			for x := range 16 * 4 {
				img.Pix[y*img.Stride+x] = secret
			}
		}
	}
	v := views(f)
	if masked {
		src, err := camera.Cover(f, []camera.Area{{0, 0, 0.5, 0.5}}, camera.Area{})
		if err != nil {
			t.Fatal(err)
		}
		v[0].Source = src
	}
	var texts []string
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: v, LockStep: true, Gate: Gate{Pixels: -1}, Observe: func(s *Step) { texts = append(texts, s.Text) }}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.check(t)
	return texts
}

// TestMaskedPixelsReachNothing: what a model makes of a scene does not depend on what is
// behind a mask, and without the mask it does.
func TestMaskedPixelsReachNothing(t *testing.T) {
	if a, b := watchMasked(t, 10, true), watchMasked(t, 200, true); len(a) != 5 || !slices.Equal(a, b) {
		t.Errorf("masked: %v and %v", a, b)
	}
	if a, b := watchMasked(t, 10, false), watchMasked(t, 200, false); slices.Equal(a, b) {
		t.Errorf("unmasked: the model does not see the secret: %v", a)
	}
}

// TestStampsThatStepBack: frames whose time is not after that of the one before are dropped
// and counted.
func TestStampsThatStepBack(t *testing.T) {
	f := newFilm(8)
	at := []int{1, 2, 2, 1, 3, 5, 4, 6}
	f.at = func(n uint64) time.Time { return time.Unix(int64(at[n]), 0) }
	var got []int64
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), LockStep: true, Observe: func(s *Step) { got = append(got, s.Set.Time.Unix()) }}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []int64{1, 2, 3, 5, 6}) || d.Stats().Skipped != 3 {
		t.Errorf("times %v, %d skipped", got, d.Stats().Skipped)
	}
	f.check(t)
}
