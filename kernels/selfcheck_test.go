package kernels

import (
	"slices"
	"testing"
)

// The implementation in use passes its check here, or models would run on another one
// than the tests of this package.
func TestSelfCheckPasses(t *testing.T) {
	if d := SelfCheck(); len(d) > 0 {
		t.Errorf("given up: %+v", d)
	}
}

// A kernel that disagrees costs its implementation the trust, and the next is taken.
func TestSelfCheckGivesUp(t *testing.T) {
	was := level
	defer func() { level = was }()
	all := checks()
	for broken := range len(implementations) {
		worst := implementations[broken].level
		bad := check{"Broken", func() []float32 {
			if level >= worst && level != portableLevel {
				return []float32{1.01}
			}
			return []float32{1}
		}}
		failed := settle(implementations, append(slices.Clone(all), bad))
		want := min(broken+1, len(implementations)-1)
		if len(failed) != want || level != implementations[want].level {
			t.Fatalf("%s and better broken: gave up %+v, took %s", implementations[broken].name, failed, Backend())
		}
		for i, f := range failed {
			if f != (Distrusted{implementations[i].name, "Broken"}) {
				t.Errorf("gave up %+v", f)
			}
		}
	}
}

func BenchmarkSelfCheck(b *testing.B) {
	was := level
	defer func() { level = was }()
	for b.Loop() {
		settle(implementations, checks())
	}
}
