package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds of an index, so that what a run allocates follows from the files that it names.
const (
	maxIndex   = 256 << 10 // bytes; those of the authors' vectors have up to 34 KiB
	maxPixels  = 1 << 11   // side of a tower's picture; that of published ones is 1024 at most
	maxImages  = 64        // of a model
	maxWeights = 16        // files of a model
	maxName    = 200       // bytes of a file's name
)

// index is the union of the known kinds.
type index struct {
	Format     int                   `json:"format"`
	Configs    map[string]lmConfig   `json:"configs"`
	Towers     map[string]towerEntry `json:"towers"`
	Preprocess json.RawMessage       `json:"preprocess"`
}

// readIndex reads the index at path. What is wrong with it wraps [ErrIndex].
func readIndex(path string) (*index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err != nil {
		return nil, err
	}
	ix, err := parseIndex(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrIndex, err)
	}
	return ix, nil
}

func parseIndex(data []byte) (*index, error) {
	if len(data) > maxIndex {
		return nil, fmt.Errorf("more than %d bytes", maxIndex)
	}
	ix := &index{}
	if err := unmarshal(data, ix); err != nil {
		return nil, err
	}
	if ix.Format != 1 {
		return nil, fmt.Errorf("format %d, want 1", ix.Format)
	}
	if ix.Configs == nil && ix.Towers == nil && ix.Preprocess == nil {
		return nil, errors.New(`none of "configs", "towers", "preprocess"`)
	}
	for _, name := range sortedKeys(ix.Configs) {
		if err := ix.Configs[name].check(); err != nil {
			return nil, fmt.Errorf("config %.100q: %w", name, err)
		}
	}
	for _, name := range sortedKeys(ix.Towers) {
		if err := ix.Towers[name].Config.check(); err != nil {
			return nil, fmt.Errorf("tower %.100q: %w", name, err)
		}
	}
	return ix, nil
}

func (c lmConfig) check() error {
	if c.Golden == "" || len(c.Weights) == 0 {
		return errors.New(`"weights" or "golden" is missing`)
	}
	if n := len(c.Weights); n > maxWeights {
		return fmt.Errorf("%d files of weights, more than %d", n, maxWeights)
	}
	if n := len(c.Images); n > maxImages {
		return fmt.Errorf("%d images, more than %d", n, maxImages)
	}
	for _, kind := range sortedKeys(c.Hyper.Towers) {
		if err := c.Hyper.Towers[kind].check(); err != nil {
			return fmt.Errorf("tower %.100q: %w", kind, err)
		}
	}
	return nil
}

func (t towerSpec) check() error {
	if t.Image < 0 || t.Image > maxPixels {
		return fmt.Errorf("image of %d pixels a side, more than %d or less than none", t.Image, maxPixels)
	}
	return nil
}

// unmarshal is json.Unmarshal whose errors tell where, and do not repeat values at length.
func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("byte %d: %w", e.Offset, e)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("byte %d: %.100s in %.200q, want %v", e.Offset, e.Value, e.Field, e.Type)
	}
	return err
}
