package sdk_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/fw/plugin"
)

// TestDocument does what docs/plugins.md says about writing a plugin, from its text: the files
// that it names before an indented block are written, other indented blocks are run.
func TestDocument(t *testing.T) {
	need(t, "go", "clang-19", "wasm-ld-19")
	reads(t, "*.h", "*.go")
	text, err := os.ReadFile("../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Writing one\n")
	section, _, _ = strings.Cut(section, "\n## ")
	dir := t.TempDir()
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(repository, filepath.Join(dir, "edged")); err != nil {
		t.Fatal(err)
	}

	files, runs := 0, 0
	block := regexp.MustCompile("(?:`([^`]+)`:\n\n|\n\n)((?:(?:    .*)?\n)+)")
	for _, found := range block.FindAllStringSubmatch(section, -1) {
		content := regexp.MustCompile(`(?m)^    `).ReplaceAllString(found[2], "")
		name := filepath.Join(dir, found[1])
		switch {
		case strings.TrimSpace(content) == "":
		case strings.HasSuffix(found[1], ".go") || strings.HasSuffix(found[1], ".c"):
			files++
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(strings.TrimSpace(content)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			runs++
			cmd := exec.Command("sh", "-ec", content)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOPROXY=off") // what is needed is at hand
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s%v\n%s", content, err, out)
			}
		}
	}
	if files != 2 || runs != 2 {
		t.Fatalf("%d files and %d blocks of commands, there are two of each", files, runs)
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
	run := func(name, config string) *host {
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
	cat := run("cat/cat.wasm", `{"word":"dog"}`)
	if frames, _ := cat.WantsFrames(); frames {
		t.Error("cat exports edged_on_frame")
	}
	if a := cat.Caption(ctx, &plugin.Caption{Text: "a dog"}); !slices.Equal(a.Tags, []string{"dog"}) {
		t.Errorf("cat: %+v", a)
	}
	dusk := run("dusk/dusk.wasm", "")
	for level, skip := range map[byte]bool{19: true, 20: false} {
		f := plugin.Frame{Width: 8, Height: 6, Pixels: slices.Repeat([]byte{level}, 3*8*6)}
		if v := dusk.Frame(ctx, &f); v.Skip != skip {
			t.Errorf("dusk: a picture of %d: %+v", level, v)
		}
	}
}
