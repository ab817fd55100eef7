package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/tokenizer"
	"github.com/visualrwkv/edged/vlm"
)

// convertMain makes one GGUF file of a checkpoint.
func convertMain(args []string, stdout, stderr io.Writer) int {
	flags := newFlags("convert", "IN... -o OUT.gguf [-type TYPE] [-vocab FILE] [-config FILE] [-license TEXT]",
		"Makes one GGUF file, with everything in it, of a checkpoint: .pth (whole, or both halves of\n"+
			"a split export), safetensors (with its shards, or the index that names them), GGUF. Vision towers may\n"+
			"come in files of their own, as timm, open_clip, segment-anything, dinov2 and transformers save them, and\n"+
			"the language model may be llama.cpp's. What the checkpoint does not say comes from -config, a JSON\n"+
			"object with keys of docs/model-file.md; the first IN with the ending .json is the default, if it exists.")
	out := flags.String("o", "", "`file` to write; replaced when all is done")
	typ := flags.String("type", "f16", "`type` of the large matrices: f32, f16, bf16, q8_0, q4_0, or int8 and int4, which are packed for speed")
	vocab := flags.String("vocab", "", "vocabulary `file` in RWKV's text format, or .gz of it")
	config := flags.String("config", "", "JSON `file` with what the checkpoint does not say")
	name := flags.String("name", "", "the model's name; by default that of OUT")
	license := flags.String("license", "", "the model's licence, such as Apache-2.0; by default what the checkpoint says")
	quiet := flags.Bool("quiet", false, "no progress, and no notes on what was left out")
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
	c := conversion{name: *name, license: *license, out: *out, typ: t, quiet: *quiet}
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
	name    string
	license string
	out     string
	typ     quant.Type
	quiet   bool
}

func (c *conversion) run(who string, files []string, config, vocab string, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintf(stderr, "%s: %v\n", who, err)
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	src, err := vlm.OpenSource(files...)
	if err != nil {
		return fail(exitInput, err)
	}
	defer src.Close()
	about, subject, err := readConfig(config, files[0], src.Format())
	if err != nil {
		return fail(exitInput, err)
	}
	words, err := readVocab(vocab)
	if err != nil {
		return fail(exitInput, err)
	}
	desc, err := src.Describe(about, words)
	if err != nil {
		return fail(exitInput, named(subject, err))
	}
	if c.name != "" {
		desc.Name = c.name
	}
	if desc.Name == "" {
		desc.Name = stem(c.out)
	}
	if c.license != "" {
		desc.License = c.license
	}
	bar := newProgress(stderr, c.quiet)
	err = src.Convert(ctx, c.out, desc, c.typ, bar.show)
	bar.end()
	switch problems, _ := errors.AsType[*vlm.Problems](err); {
	case err == nil && !c.quiet:
		for _, n := range src.Notes(desc) {
			fmt.Fprintf(stderr, "%s: note: %s\n", who, n)
		}
		return exitOK
	case err == nil:
		return exitOK
	case problems != nil:
		return fail(exitInput, fmt.Errorf("%s: %w", files[0], err))
	case ctx.Err() != nil:
		return fail(exitFailed, errors.New("interrupted; nothing was written"))
	}
	// What goes wrong with the output is a matter of the file system.
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return fail(exitFailed, err)
	}
	return fail(exitInput, err)
}

func stem(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// readConfig reads a JSON configuration; beside a checkpoint it may be absent. subject names
// both files in errors about what is in them.
func readConfig(config, input, format string) (about []byte, subject string, err error) {
	path := config
	if path == "" {
		if format == "gguf" {
			return nil, input, nil
		}
		path = strings.TrimSuffix(input, filepath.Ext(input)) + ".json"
	}
	about, err = os.ReadFile(path)
	if config == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, input, nil
	}
	return about, input + " with " + path, err
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
