//go:build unix

package vlm_test

import (
	"image"
	"os"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
)

// TestFileBecomesShorter: whoever uses a model whose file was cut off ends with what can be done about it, wherever the bytes are read.
func TestFileBecomesShorter(t *testing.T) {
	path := convertTiny(t, demoSize, quant.Q8_0)
	m, err := vlm.Open(path, &vlm.Options{Threads: 1}) // workers would end the process
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := stream(t, m)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		p, _ := recover().(string)
		if !strings.HasPrefix(p, path+" cannot be read any more") || !strings.Contains(p, "with mv, not cp") {
			t.Errorf("it ended with %q", p)
		}
	}()
	err = s.See(t.Context(), image.NewRGBA(image.Rect(0, 0, 64, 64)))
	t.Errorf("a model without a file sees: %v", err)
}
