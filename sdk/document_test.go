//go:build !wasip1

package sdk_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/fw/plugin"
)

// TestDocument does what docs/plugins.md says about writing plugins and trying two, from its
// text: the files that it names before an indented block are written, commands are run.
func TestDocument(t *testing.T) {
	need(t, "go", "make", "clang-19", "wasm-ld-19")
	reads(t, "../Makefile", "*.h", "*.go", "examples/*/*.*")
	text, err := os.ReadFile("../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sections, _ := strings.Cut(string(text), "\n## Writing one\n")
	sections, _, _ = strings.Cut(sections, "\n## On the device\n")
	writing, trying, _ := strings.Cut(sections, "\n## Two to use\n")
	dir := t.TempDir()
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(repository, filepath.Join(dir, "edged")); err != nil {
		t.Fatal(err)
	}
	run := func(dir, commands string) {
		cmd := exec.Command("sh", "-ec", commands)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY=off") // what is needed is at hand
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s%v\n%s", commands, err, out)
		}
	}

	files, runs := 0, 0
	for _, b := range blocks(writing) {
		if strings.HasSuffix(b.of, ".wasm") {
			runs++
			run(dir, b.text)
			continue
		}
		files++
		name := filepath.Join(dir, b.of)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range blocks(trying) {
		if b.of == "edged" {
			runs++
			run(repository, b.text)
		}
	}
	if files != 2 || runs != 3 {
		t.Fatalf("%d files and %d blocks of commands, there are 2 and 3", files, runs)
	}
	if out, err := exec.Command("gofmt", "-l", filepath.Join(dir, "cat")).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt: %s, %v", out, err)
	}

	ctx := context.Background()
	engine, err := plugin.NewEngine(ctx, plugin.EngineConfig{Mode: "interpreter"})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(ctx)
	load := func(name, config string) *host {
		wasm, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		m, err := engine.Compile(ctx, name, wasm)
		if err != nil {
			t.Fatal(err)
		}
		h, err := start(t, m, config)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	cat := load("cat/cat.wasm", `{"word":"dog"}`)
	if frames, _ := cat.WantsFrames(); frames {
		t.Error("cat exports edged_on_frame")
	}
	if a := cat.Caption(ctx, &plugin.Caption{Text: "a dog"}); !slices.Equal(a.Tags, []string{"dog"}) {
		t.Errorf("cat: %+v", a)
	}
	dusk := load("dusk/dusk.wasm", "")
	for level, skip := range map[byte]bool{19: true, 20: false} {
		f := plugin.Frame{Width: 8, Height: 6, Pixels: slices.Repeat([]byte{level}, 3*8*6)}
		if v := dusk.Frame(ctx, &f); v.Skip != skip {
			t.Errorf("dusk: a picture of %d: %+v", level, v)
		}
	}
}

// block is an indented part of a document, without its indentation, and what is between
// backquotes at the end of the line before.
type block struct{ of, text string }

func blocks(section string) (all []block) {
	var before string
	var b *block
	for line := range strings.Lines(section) {
		code, ok := strings.CutPrefix(line, "    ")
		switch {
		case ok && b == nil:
			all = append(all, block{of: before, text: code})
			b = &all[len(all)-1]
		case ok:
			b.text += code
		case b != nil && line == "\n":
			b.text += line
		case line != "\n":
			b, before = nil, ""
			if i := strings.LastIndex(strings.TrimSuffix(line, "`:\n"), "`"); strings.HasSuffix(line, "`:\n") {
				before = line[i+1 : len(line)-3]
			}
		}
	}
	for i := range all {
		all[i].text = strings.TrimRight(all[i].text, "\n") + "\n"
	}
	return all
}
