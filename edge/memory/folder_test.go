package memory

import (
	"path/filepath"
	"testing"
)

func TestFolder(t *testing.T) {
	for scene, want := range map[string]string{
		"yard": "yard", "Hof 2": "Hof%202", "..": "%2E.", ".": "%2E", "": "%2E", "../../etc": "%2E.%2F..%2Fetc", "a\x00b": "a%00b", "ä%2E": "%C3%A4%252E",
	} {
		got := Folder(scene)
		if got != want {
			t.Errorf("%q: %q, want %q", scene, got, want)
		}
		if filepath.Join("/x", got) != "/x/"+got || filepath.Dir("/x/"+got) != "/x" {
			t.Errorf("%q leaves its folder: %q", scene, got)
		}
	}
}
