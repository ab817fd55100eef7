package hostile

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDamage(t *testing.T) {
	data := []byte(strings.Repeat("0123456789", 50))
	good := bytes.Clone(data)
	rng := rand.New(rand.NewPCG(1, 2))
	same, shorter, longer, patched := 0, 0, 0, 0
	for range 1000 {
		b := Damage(rng, data, "PATCH")
		switch {
		case bytes.Equal(b, data):
			same++
		case len(b) < len(data):
			shorter++
		case len(b) > len(data):
			longer++
		}
		if bytes.Contains(b, []byte("PATCH")) {
			patched++
		}
	}
	if !bytes.Equal(data, good) {
		t.Error("the input was changed")
	}
	if same > 20 || shorter < 200 || longer < 200 || patched < 200 {
		t.Errorf("of 1000: %d the same, %d shorter, %d longer, %d patched", same, shorter, longer, patched)
	}
	if b := Damage(rng, nil); len(b) != 0 {
		t.Errorf("nothing became %q", b)
	}
}

var sink []byte

func TestAllocated(t *testing.T) {
	if n := Allocated(2<<20, func() { sink = make([]byte, 1<<20) }); n < 1<<20 || n > 2<<20 {
		t.Errorf("%d bytes allocated where 1 MiB was", n)
	}
	calls := 0
	Allocated(10, func() { calls++; sink = make([]byte, 1<<20) })
	if calls != 3 {
		t.Errorf("measured %d times", calls)
	}
}
