package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/tinymodel"
)

// convertVariant makes a model file of random weights by way of the command: a checkpoint,
// what it lacks, and a vocabulary of one token per printable byte.
func convertVariant(t *testing.T, variant string) string {
	t.Helper()
	dir := t.TempDir()
	checkpoint, path := filepath.Join(dir, "tiny.safetensors"), filepath.Join(dir, "tiny.gguf")
	spec := tinymodel.Spec{Seed: 5, Variant: variant, Vocab: 128, Image: 32, Patch: 8}
	if err := os.WriteFile(checkpoint, tinymodel.New(spec).Safetensors(), 0o644); err != nil {
		t.Fatal(err)
	}
	var words strings.Builder
	for c := 32; c < 127; c++ {
		fmt.Fprintf(&words, "%d '\\x%02x' 1\n", c-31, c)
	}
	fmt.Fprintf(&words, "96 '\\n' 1\n97 '\\n\\n' 2\n")
	config := writeFile(t, "c.json", `{"image.decoder_tokens": 4, "vision.siglip.head_count": 2, "vision.clip.head_count": 2,
		"prompt.stop": 97, "prompt.caption": "describe the room."}`)
	args := []string{"convert", checkpoint, "-o", path, "-type", "int8", "-config", config, "-vocab", writeFile(t, "v.txt", words.String())}
	if code, _, stderr := tool(t, args...); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return path
}

// Models without a state encoder watch a folder and a room, and answer meanwhile.
func TestDemoOfVariants(t *testing.T) {
	for variant, views := range map[string]int{"vanilla": 2, "rwkv7": 2, "bidirectional": 1} {
		t.Run(variant, func(t *testing.T) {
			model, socket := convertVariant(t, variant), testSocket(t)
			folder := t.TempDir()
			writeFilm(t, folder, 3)
			if views == 1 {
				if err := os.RemoveAll(filepath.Join(folder, "side")); err != nil {
					t.Fatal(err)
				}
			}
			code, out, stderr := runCommand(t, "demo", "-model", model, "-source", folder, "-every", "1ms", "-json", "-socket", socket)
			if code != exitOK || stderr != "" {
				t.Fatalf("folder: code %d, stderr %q", code, stderr)
			}
			if captions, s := parseDemo(t, out); s.Frames != 3 || len(captions) == 0 {
				t.Errorf("folder: %d frame sets, %d captions", s.Frames, len(captions))
			}

			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var asked sync.WaitGroup
			answers := 0
			asked.Go(func() {
				defer stop()
				for ctx.Err() == nil && answers == 0 {
					if _, err := os.Stat(socket); err != nil {
						time.Sleep(time.Millisecond)
						continue
					}
					var a jsonAnswer
					code, out, _ := runCommand(t, "ask", "-json", "-socket", socket, "what is there?")
					if code == exitOK && json.Unmarshal([]byte(out), &a) == nil && a.Type == "answer" {
						answers++
					}
				}
			})
			var stdout, problems bytes.Buffer
			code = runDemo(ctx, demoFlags{model: model, views: views, frames: 1 << 20, seed: 1, socket: socket, json: true}, &stdout, &problems)
			stop()
			asked.Wait()
			if code != exitOK || problems.Len() != 0 || answers != 1 {
				t.Errorf("room: code %d, stderr %q, %d answers", code, &problems, answers)
			}
		})
	}
}

// TestTooManyViews: a model that looks at one picture is refused as soon as it is known that
// there are more.
func TestTooManyViews(t *testing.T) {
	model, folder := convertVariant(t, "bidirectional"), t.TempDir()
	writeFilm(t, folder, 1)
	out := filepath.Join(t.TempDir(), "out.gguf")
	for _, args := range [][]string{
		{"demo", "-model", model, "-frames", "1"},
		{"demo", "-model", model, "-source", folder},
		{"eval", "-sim", "-model", model, "-clips", "1"},
		{"eval", "-sim", "-model", model, "-clips", "1", "-stream", "1"},
		{"eval", "-ref", model, "-model", model, "-source", "sim"},
		{"quantize", model, "-o", out, "-type", "int4", "-calib", "sim"},
		{"plan", model, "-views", "2"},
	} {
		code, stdout, stderr := runCommand(t, args...)
		if code != exitInput || stdout != "" || !strings.Contains(stderr, "2 views") || !strings.Contains(stderr, "takes 1 at most") {
			t.Errorf("%q: code %d, %q, %q", args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{
		{"demo", "-model", model, "-frames", "1", "-views", "1", "-quiet"},
		{"plan", model},
	} {
		if code, _, stderr := runCommand(t, args...); code != exitOK {
			t.Errorf("%q: code %d, %q", args, code, stderr)
		}
	}
}

// Model files of other variants are measured like random ones.
func TestBenchOfVariants(t *testing.T) {
	for _, variant := range []string{"rwkv7", "bidirectional"} {
		model := convertVariant(t, variant)
		code, out, stderr := runCommand(t, "bench", "-model", model, "-what", "decode,prefill,vision", "-tokens", "3", "-runs", "1", "-json", "-quiet")
		if code != exitOK || strings.Count(out, `"shape":"`+filepath.Base(model)+`"`) != 3 {
			t.Errorf("%s: code %d, %q, %q", variant, code, out, stderr)
		}
	}
}
