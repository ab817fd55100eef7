package verify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func shared(t *testing.T) string {
	dir := filepath.Join("..", "..", "..", "shared", "golden")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("reference vectors: %v", err)
	}
	return dir
}

func TestX(t *testing.T) {
	for _, n := range []string{"index_lm.json", "index_vision.json", "index_variants.json"} {
		rep, err := Run(context.Background(), filepath.Join(shared(t), n), nil)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, r := range rep.Rows {
			f := " "
			if !r.OK {
				f = "FAIL"
			}
			fmt.Printf("%-4s %-12s %-36s %.3g  %.3g\n", f, r.Config, r.Tensor, r.Error, r.Bound)
		}
		fmt.Println(rep.Skipped)
		fmt.Println(rep.Unchecked)
	}
}
