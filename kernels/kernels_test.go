package kernels

// Comparison policy. Integer dot products, activation quantisation, decoding and
// operations that round once per element are equal to package portable bit for bit.
// Sums of floats may be reordered or fused by an implementation and get a bound, some
// units of 2^-24 times the sum of magnitudes. Transcendental functions get the units
// in the last place stated in vector.go, against float64. On top of that every
// implementation must give the same bits for a vector alone and among others.

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
)

// eachBackend runs f once on every implementation there is.
func eachBackend(t *testing.T, f func(t *testing.T)) {
	was := Backend()
	defer func() {
		if err := Select(was); err != nil {
			t.Error(err)
		}
	}()
	for _, b := range Backends() {
		t.Run(b, func(t *testing.T) {
			if err := Select(b); err != nil {
				t.Fatal(err)
			}
			f(t)
		})
	}
}

func TestSelect(t *testing.T) {
	if err := Select("abacus"); err == nil || !strings.Contains(err.Error(), "portable") {
		t.Errorf("got %v", err)
	}
	all := Backends()
	if Backend() == "" || choose("abacus").name != all[0] || choose("portable").name != "portable" {
		t.Errorf("%q in use of %q", Backend(), all)
	}
	if all[len(all)-1] != "portable" {
		t.Errorf("backends %q do not end in portable", all)
	}
}

// sizes are around every width of a vector register, and beyond a few of them.
var sizes = []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// randoms returns guarded values of a normal distribution.
func randoms(t testing.TB, r *rand.Rand, n int) []float32 {
	x := guard.Slice[float32](t, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// near fails unless got is within n units of 2^-24 times size of want.
func near(t *testing.T, what string, got float32, want, size, n float64) {
	t.Helper()
	if !(math.Abs(float64(got)-want) <= n*size*0x1p-24) {
		t.Fatalf("%s: got %v, want %v within %v", what, got, want, n*size*0x1p-24)
	}
}

func equalBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d of %d is %v, want %v", what, i, len(got), v, want[i])
		}
	}
}

// panics fails unless f does.
func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if msg, ok := recover().(string); !ok || !strings.HasPrefix(msg, "kernels: ") {
			t.Errorf("%s: recovered %q", what, msg)
		}
	}()
	f()
}
