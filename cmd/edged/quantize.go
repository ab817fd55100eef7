package main

import (
	"fmt"
	"io"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/weights"
)

// quantizeMain makes a smaller file of a GGUF file.
func quantizeMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("quantize", "IN.gguf -o OUT.gguf -type TYPE",
		"Makes a smaller model file of a larger one. Types: q8_0 and q4_0, the block types of GGUF, and\n"+
			"int8 and int4. This version has no packed layouts yet: int8 writes what q8_0 writes, and int4 what\n"+
			"q4_0 writes, that is four bits for the matrices of the blocks and eight for embedding and head.")
	out := fs.String("o", "", "`file` to write; replaced when all is done")
	typ := fs.String("type", "", "`type`: q8_0, q4_0, int8 or int4")
	quiet := fs.Bool("quiet", false, "no progress")
	files, code, ok := parseMixed(fs, args, stdout, stderr)
	if !ok {
		return code
	}
	if len(files) != 1 || *out == "" {
		return wrongUse(fs, stderr, "want one input file and -o")
	}
	t, ok := convertType(*typ)
	if !ok || t != quant.Q8_0 && t != quant.Q4_0 {
		return wrongUse(fs, stderr, fmt.Sprintf("unknown type %q: q8_0, q4_0, int8 or int4", *typ))
	}
	if err := checkSource(files[0], stderr); err != nil {
		fmt.Fprintln(stderr, "edged quantize:", err)
		return exitInput
	}
	c := conversion{out: *out, typ: t, progress: progressTo(stderr, *quiet)}
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
	for _, t := range f.Tensors() {
		if t.Type == weights.Q8_0 || t.Type == weights.Q4_0 {
			fmt.Fprintf(stderr, "edged quantize: %s is quantised already (%s is %v); a file of f16 or f32 gives a better result\n", path, t.Name, t.Type)
			break
		}
	}
	return nil
}
