package vlm_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/vlm"
)

// TestSeeWith: a stream that sees with another from some frame set on has the bytes of
// one that saw the same pictures itself.
func TestSeeWith(t *testing.T) {
	for _, c := range []struct {
		variant string
		exact   bool
	}{{"hybrid", false}, {"hybrid", true}, {"vanilla", false}, {"rwkv7", false}, {"bidirectional", false}} {
		t.Run(fmt.Sprintf("%s exact=%v", c.variant, c.exact), func(t *testing.T) {
			spec, views := base, 2
			spec.Variant = c.variant
			if c.variant == "bidirectional" {
				views = 1
			}
			m := open(t, spec, func(o *vlm.Options) { o.Exact = c.exact })
			leader, second, own := stream(t, m), stream(t, m), stream(t, m)
			if err := second.SeeWith(t.Context(), leader); err == nil {
				t.Error("saw with a stream that has seen nothing")
			}
			for n := range uint64(4) {
				pictures := []uint64{10 * n, 10*n + 1}[:views]
				see(t, leader, pictures...)
				if n < 2 {
					continue
				}
				see(t, own, pictures...)
				if err := second.SeeWith(t.Context(), leader); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(second.State(), own.State()) {
					t.Errorf("frame set %d: seeing with another is not seeing", n)
				}
			}
			if got, want := ask(t, second, "what?"), ask(t, own, "what?"); got != want {
				t.Errorf("answers %q, want %q", got, want)
			}
		})
	}
	other := stream(t, open(t, smallest, nil))
	see(t, other, 1)
	if err := stream(t, open(t, base, nil)).SeeWith(t.Context(), other); err == nil || !strings.Contains(err.Error(), "cannot see with") {
		t.Errorf("seeing with another model's stream: %v", err)
	}
}
