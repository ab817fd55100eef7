package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/visualrwkv/edged/vlm"
)

// The models stay where the binary is mapped: as byte slices they cost no heap.
var (
	//go:embed model/demo-int8.gguf
	demoInt8 []byte
	//go:embed model/demo-int4.gguf
	demoInt4 []byte
)

// embedded are the models inside the binary; -model takes these names besides
// paths. The first is the default.
var embedded = []struct {
	name string
	data []byte
}{{"demo-int8", demoInt8}, {"demo-int4", demoInt4}}

const modelHelp = "model `file`, or demo-int8 or demo-int4, which are in the binary"

// gateState is the least change of the image state that is described, for a model of this
// name: up to it the embedded ones lose no caption (RATIONALE.md). What others' states do
// is not known, and every change of the pixels is described.
func gateState(name string) float64 {
	for _, e := range embedded {
		if name == e.name || name == "" {
			return 0.1
		}
	}
	return 0
}

// openModel opens a model that can watch: a file, or one of the binary when name
// is one of theirs or empty.
func openModel(name string, o *vlm.Options) (*vlm.Model, error) {
	for _, e := range embedded {
		if name == e.name || name == "" {
			return vlm.OpenBytes(e.name, e.data, o)
		}
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file", name)
	}
	m, err := vlm.Open(name, o)
	if err != nil {
		return nil, err
	}
	if err := watches(m.Config(), 1); err != nil {
		m.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// watches tells what keeps a model of c from describing what it sees in frame sets of so
// many views.
func watches(c vlm.Config, views int) error {
	if err := c.Runnable(); err != nil {
		return err
	}
	switch {
	case len(c.Towers) == 0:
		return errors.New("no vision tower")
	case len(c.Tokens) == 0:
		return errors.New("no vocabulary")
	case views > c.MaxViews():
		return fmt.Errorf("frame sets of %d views: the model takes %d at most", views, c.MaxViews())
	}
	return nil
}
