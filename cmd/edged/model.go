package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/visualrwkv/edged/vlm"
)

//go:embed model
var embedded embed.FS

// embeddedNames are the models inside the binary; -model takes these names
// besides paths. The first is the default.
var embeddedNames = []string{"demo-int8", "demo-int4"}

const modelHelp = "model `file`, or demo-int8 or demo-int4, which are in the binary"

// openModel opens a file, or a model of the binary when name is one of theirs
// or empty.
func openModel(name string, o *vlm.Options) (*vlm.Model, error) {
	if name == "" {
		name = embeddedNames[0]
	}
	for _, e := range embeddedNames {
		if name != e {
			continue
		}
		data, err := embedded.ReadFile("model/" + e + ".gguf")
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("this binary was built without the model %s: give one with -model", e)
		}
		if err != nil {
			return nil, err
		}
		return vlm.OpenBytes(e, data, o)
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file", name)
	}
	return vlm.Open(name, o)
}
