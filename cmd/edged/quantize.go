package main

import (
	"fmt"
	"io"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// quantizeMain makes a smaller file of a GGUF file.
func quantizeMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("quantize", "IN.gguf -o OUT.gguf -type TYPE",
		"Makes a smaller model file of a larger one. int8 and int4 are packed in the order in which this\n"+
			"program's kernels read them, and the faster ones here; q8_0 and q4_0 are the block types of GGUF.\n"+
			"The types of four bits leave embedding and head in eight.")
	out := fs.String("o", "", "`file` to write; replaced when all is done")
	typ := fs.String("type", "", "`type`: int8, int4, q8_0 or q4_0")
	quiet := fs.Bool("quiet", false, "no progress")
	files, code, ok := parseMixed(fs, args, stdout, stderr)
	if !ok {
		return code
	}
	if len(files) != 1 || *out == "" {
		return wrongUse(fs, stderr, "want one input file and -o")
	}
	t, ok := convertType(*typ)
	if !ok || t != quant.Q8_0 && t != quant.Q4_0 && !t.Packed() {
		return wrongUse(fs, stderr, fmt.Sprintf("unknown type %q: int8, int4, q8_0 or q4_0", *typ))
	}
	if err := checkSource(files[0], stderr); err != nil {
		fmt.Fprintln(stderr, "edged quantize:", err)
		return exitInput
	}
	c := conversion{out: *out, typ: t, quiet: *quiet}
	return c.run("edged quantize", files, "", "", stderr)
}

// checkSource refuses files of other formats, which lack what a model file
// holds, and warns of a source that has lost digits already.
func checkSource(path string, stderr io.Writer) error {
	f, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Format() != "gguf" {
		return fmt.Errorf("%s: is %s, not GGUF; use edged convert", path, f.Format())
	}
	for _, t := range vlm.Weights(f) {
		if t.Packed || t.Type == weights.Q8_0.String() || t.Type == weights.Q4_0.String() {
			fmt.Fprintf(stderr, "edged quantize: %s is quantised already (%s is %s); a file of f16 or f32 gives a better result\n", path, t.Name, t.Type)
			break
		}
	}
	return nil
}
