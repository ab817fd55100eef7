package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// inspectMain lists what is in a weights file.
func inspectMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("inspect", "FILE... [-json] [-tensors=false]",
		"Lists what is in a weights file of any format: metadata, the model it makes, tensors.\n"+
			"A packed matrix (INT8, INT4) is one line: its weights and scales are several tensors of the file.")
	asJSON := fs.Bool("json", false, "print one JSON object")
	tensors := fs.Bool("tensors", true, "list the tensors")
	files, code, ok := parseMixed(fs, args, stdout, stderr)
	if !ok {
		return code
	}
	if len(files) == 0 {
		return wrongUse(fs, stderr, "want a file")
	}
	r, err := inspect(files, *tensors)
	if err != nil {
		fmt.Fprintln(stderr, "edged inspect:", err)
		return exitInput
	}
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		err = r.print(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "edged inspect:", err)
		return exitFailed
	}
	return exitOK
}

// inspection is what inspect finds.
type inspection struct {
	Format     string           `json:"format"`
	Bytes      int64            `json:"bytes"`
	Parameters int64            `json:"parameters"`
	Types      map[string]int64 `json:"types"`           // bytes of tensors by type
	Model      string           `json:"model,omitempty"` // one line, if it is a model we know
	Runs       bool             `json:"runs"`
	Why        string           `json:"why,omitempty"` // why it does not run, or is no model
	Config     *vlm.Config      `json:"config,omitempty"`

	Quantization *vlm.Quantization `json:"quantization,omitempty"`

	License string       `json:"license,omitempty"`
	Sources []vlm.Origin `json:"sources,omitempty"` // what it was made of
	Meta    []metaLine   `json:"meta"`
	Tensors []tensorLine `json:"tensors,omitempty"`
	count   int          // of tensors, listed or not
}

type metaLine struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

type tensorLine struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Shape  []int  `json:"shape"`
	Bytes  int64  `json:"bytes"`
	Offset int64  `json:"offset"`
}

func inspect(files []string, tensors bool) (*inspection, error) {
	f, err := weights.OpenAll(files...)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &inspection{Format: f.Format(), Bytes: f.Size(), Types: map[string]int64{}, Meta: []metaLine{}}
	for _, kv := range f.Meta() {
		r.Meta = append(r.Meta, metaLine{kv.Key, kv.Value.Type().String(), kv.Value.String()})
	}
	all := vlm.Weights(f)
	r.count = len(all)
	for _, t := range all {
		r.Parameters += t.Values
		r.Types[t.Type] += t.Bytes
		if tensors {
			r.Tensors = append(r.Tensors, tensorLine{t.Name, t.Type, t.Shape, t.Bytes, t.Offset})
		}
	}
	if r.Sources, err = vlm.Origins(f.Meta()); err != nil {
		return nil, err
	}
	if r.Quantization, err = vlm.ReadQuantization(f.Meta()); err != nil {
		return nil, fmt.Errorf("%s: %w", files[0], err)
	}
	about, subject, err := readConfig("", files[0], f.Format())
	if err != nil {
		return nil, err
	}
	if about != nil {
		if _, err := vlm.ParseMetadata(about); err != nil {
			return nil, named(subject, err)
		}
	}
	c, err := vlm.Describe(f, about, nil)
	if err != nil {
		r.Why = err.Error()
		if s, err := vlm.NewSource(f); err == nil && len(s.Foreign()) > 0 {
			r.Why = strings.Join(s.Foreign(), " and ") + ", of which edged convert makes a model file, or a part of one"
		}
		return r, nil
	}
	r.Model = c.String()
	err = watches(c, 1)
	if r.Runs = err == nil; !r.Runs {
		r.Why = err.Error()
	}
	r.License = c.License
	c.Tokens = nil // a metadata entry tells how many
	r.Config = &c
	return r, nil
}

func (r *inspection) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %d bytes, %d values in %d tensors\n", r.Format, r.Bytes, r.Parameters, r.count)
	if r.Model != "" {
		fmt.Fprintln(t, r.Model)
	}
	if r.Why != "" {
		fmt.Fprintln(t, "does not run as it is:", r.Why)
	}
	if r.License != "" {
		fmt.Fprintln(t, "licence:", r.License)
	}
	for _, o := range r.Sources {
		fmt.Fprintf(t, "made of %s, %d bytes, SHA-256 %s\n", o.File, o.Bytes, o.SHA256)
	}
	if r.Quantization != nil {
		fmt.Fprintf(t, "\n%s", quantizationText(r.Quantization))
	}
	fmt.Fprintln(t)
	for _, m := range r.Meta {
		fmt.Fprintf(t, "%s\t%s\t%s\n", m.Key, m.Type, m.Value)
	}
	t.Flush()
	fmt.Fprintln(t)
	for _, x := range r.Tensors {
		fmt.Fprintf(t, "%s\t%s\t%v\t%d\n", x.Name, x.Type, x.Shape, x.Bytes)
	}
	return t.Flush()
}
