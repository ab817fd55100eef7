package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/tokenizer"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// convertMain makes one GGUF file of a checkpoint.
func convertMain(args []string, stdout, stderr io.Writer) int {
	flags := newFlags("convert", "IN... -o OUT.gguf [-type TYPE] [-vocab FILE] [-config FILE]",
		"Makes one GGUF file, with everything in it, of a checkpoint: .pth (whole, or both halves of\n"+
			"a split export), safetensors, or GGUF. What the checkpoint does not say comes from -config,\n"+
			"a JSON object with keys of docs/model-file.md; IN with the ending .json is the default, if it exists.")
	out := flags.String("o", "", "`file` to write; replaced when all is done")
	typ := flags.String("type", "f16", "`type` of the large matrices: f32, f16, bf16, q8_0, q4_0, or int8 and int4, which are packed for speed")
	vocab := flags.String("vocab", "", "vocabulary `file` in RWKV's text format, or .gz of it")
	config := flags.String("config", "", "JSON `file` with what the checkpoint does not say")
	name := flags.String("name", "", "the model's name; by default that of OUT")
	quiet := flags.Bool("quiet", false, "no progress")
	files, code, ok := parseMixed(flags, args, stdout, stderr)
	if !ok {
		return code
	}
	if len(files) == 0 || *out == "" {
		return wrongUse(flags, stderr, "want input files and -o")
	}
	t, ok := convertType(*typ)
	if !ok {
		return wrongUse(flags, stderr, fmt.Sprintf("unknown type %q", *typ))
	}
	c := conversion{name: *name, out: *out, typ: t, progress: progressTo(stderr, *quiet)}
	return c.run("edged convert", files, *config, *vocab, stderr)
}

// convertType reads a type's name.
func convertType(name string) (quant.Type, bool) {
	for _, t := range vlm.ConvertTypes {
		if t.String() == name {
			return t, true
		}
	}
	return 0, false
}

// conversion is one run of convert or quantize.
type conversion struct {
	name     string
	out      string
	typ      quant.Type
	progress func(done, total int64)
}

func (c *conversion) run(who string, files []string, config, vocab string, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintf(stderr, "%s: %v\n", who, err)
		return code
	}
	f, err := weights.OpenAll(files...)
	if err != nil {
		return fail(exitInput, err)
	}
	defer f.Close()
	about, err := readConfig(config, files[0], f.Format())
	if err != nil {
		return fail(exitInput, err)
	}
	words, err := readVocab(vocab)
	if err != nil {
		return fail(exitInput, err)
	}
	desc, err := vlm.Describe(f, about, words)
	if err != nil {
		return fail(exitInput, fmt.Errorf("%s: %w", files[0], err))
	}
	if len(desc.Tokens) == 0 {
		fmt.Fprintf(stderr, "%s: no vocabulary: the model will not read or write text; give one with -vocab\n", who)
	}
	if c.name != "" {
		desc.Name = c.name
	}
	if desc.Name == "" {
		desc.Name = stem(c.out)
	}
	if err := vlm.Convert(c.out, f, desc, c.typ, c.progress); err != nil {
		// What goes wrong with the output is a matter of the file system.
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return fail(exitFailed, err)
		}
		return fail(exitInput, err)
	}
	return exitOK
}

func stem(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// readConfig reads a JSON configuration; beside a checkpoint it may be absent.
func readConfig(config, input, format string) ([]byte, error) {
	path := config
	if path == "" {
		if format == "gguf" {
			return nil, nil
		}
		path = strings.TrimSuffix(input, filepath.Ext(input)) + ".json"
	}
	data, err := os.ReadFile(path)
	if config == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		_, err = vlm.ParseMetadata(data)
		err = named(path, err)
	}
	return data, err
}

// named adds the name of the file that an error is about.
func named(path string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return err
}

// maxVocab bounds a vocabulary file; that of RWKV World has 1.1 MB.
const maxVocab = 64 << 20

// readVocab reads a vocabulary in RWKV's text format, and checks it.
func readVocab(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		if data, err = gunzip(data); err != nil {
			return nil, named(path, err)
		}
	}
	_, err = tokenizer.Parse(data)
	return data, named(path, err)
}

func gunzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if data, err = io.ReadAll(io.LimitReader(z, maxVocab+1)); err == nil && len(data) > maxVocab {
		err = fmt.Errorf("more than %d MB", maxVocab>>20)
	}
	return data, err
}

// progressTo reports progress in steps of a tenth, once there is something
// worth waiting for.
func progressTo(w io.Writer, quiet bool) func(done, total int64) {
	if quiet {
		return nil
	}
	const worth = 256 << 20
	next := int64(1)
	return func(done, total int64) {
		for total >= worth && next <= 10 && done >= total/10*next {
			fmt.Fprintf(w, "%3d %% of %d MB\n", 10*next, total>>20)
			next++
		}
	}
}
