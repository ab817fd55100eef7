package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// singleDemo writes the demo model in single precision.
func singleDemo(t *testing.T) string {
	t.Helper()
	int8 := filepath.Join(t.TempDir(), "int8.gguf")
	if err := os.WriteFile(int8, demoInt8, 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "f32.gguf")
	if code, _, stderr := tool(t, "convert", int8, "-o", out, "-type", "f32", "-quiet"); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return out
}

func refOf(t *testing.T, ref, model string, more ...string) (r refResult) {
	t.Helper()
	code, stdout, stderr := tool(t, append([]string{"eval", "-ref", ref, "-model", model, "-json"}, more...)...)
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
		t.Fatalf("exit %d, %v: %s", code, err, stderr)
	}
	return r
}

// TestEmbeddedInt4: what is in the binary in four bits is as near to the model in eight as a
// calibrated file is, and says of itself that it reaches within a point what the original does.
func TestEmbeddedInt4(t *testing.T) {
	defer func(n int) { refClips = n }(refClips)
	if refClips = 40; testing.Short() {
		refClips = 6
	}
	r := refOf(t, "demo-int8", "demo-int4", "-source", "sim")
	t.Logf("%+v", r)
	if r.KLMean > 0.0012 || r.Top1 < 0.99 {
		t.Errorf("divergence %.5f, same most likely token %.2f %%", r.KLMean, 100*r.Top1)
	}
	f, err := weights.OpenBytes("demo-int4", demoInt4)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	q, err := vlm.ReadQuantization(f.Meta())
	if err != nil || q == nil || q.Type != "int4" || len(q.Results) < 20 {
		t.Fatalf("%+v, %v", q, err)
	}
	for _, l := range q.Results {
		if l.Original-l.Quantized > 0.0101 {
			t.Errorf("%s: %.4f, original %.4f", l.Name, l.Quantized, l.Original)
		}
	}
}

// TestQuantizeCalibrated: calibration halves the distance to the original, in fewer bits
// too; the report says what the file says.
func TestQuantizeCalibrated(t *testing.T) {
	if testing.Short() {
		t.Skip("many tokens, one after another")
	}
	defer func(learn, ref int) { learnClips, refClips = learn, ref }(learnClips, refClips)
	learnClips, refClips = 32, 20
	f32, dir := singleDemo(t), t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if code, _, stderr := tool(t, "quantize", f32, "-o", path("nearest.gguf"), "-type", "int4"); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	code, stdout, stderr := tool(t, "quantize", f32, "-o", path("int4.gguf"), "-type", "int4", "-calib", "sim", "-clips", "4",
		"-report", path("r.json"), "-svg", path("r.svg"), "-quiet")
	if code != exitOK || stderr != "" || !strings.Contains(stdout, "memory, state") || !strings.Contains(stdout, "rwkv.blocks.2.ffn.value.weight") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	nearest, int4 := refOf(t, f32, path("nearest.gguf"), "-source", "sim"), refOf(t, f32, path("int4.gguf"), "-source", "sim")
	t.Logf("divergence %.5f, calibrated %.5f", nearest.KLMean, int4.KLMean)
	if int4.KLMean > nearest.KLMean/2 {
		t.Errorf("divergence %.5f, calibrated %.5f", nearest.KLMean, int4.KLMean)
	}
	var r vlm.Quantization
	data, err := os.ReadFile(path("r.json"))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil || r.KLMean != int4.KLMean || r.Tokens != int4.Tokens || len(r.Results) < 20 || r.Calibration != "sim" {
		t.Errorf("%v: %+v, compared %+v", err, r, int4)
	}
	svg, err := os.ReadFile(path("r.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	var i inspection
	code, stdout, _ = tool(t, "inspect", path("int4.gguf"), "-json")
	if err := json.Unmarshal([]byte(stdout), &i); err != nil || code != exitOK || i.Quantization == nil || len(i.Quantization.Results) != len(r.Results) {
		t.Errorf("exit %d, %v: %+v", code, err, i.Quantization)
	}
	if _, stdout, _ = tool(t, "inspect", path("int4.gguf")); !strings.Contains(stdout, "calibrated on sim") {
		t.Errorf("inspect shows no quantisation: %.300s", stdout)
	}

	code, stdout, stderr = tool(t, "quantize", f32, "-o", path("mixed.gguf"), "-type", "mixed", "-bits", "4.5", "-calib", "sim", "-clips", "0", "-quiet")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	small, _ := os.Stat(path("mixed.gguf"))
	large, _ := os.Stat(path("int4.gguf"))
	mixed := refOf(t, f32, path("mixed.gguf"), "-source", "sim")
	t.Logf("divergence in 4.5 bits %.5f", mixed.KLMean)
	if small.Size() > large.Size()*9/10 || mixed.KLMean > nearest.KLMean || !strings.Contains(stdout, "mixed, 4.") {
		t.Errorf("%d and %d bytes, divergence %.5f: %.200s", small.Size(), large.Size(), mixed.KLMean, stdout)
	}
}

// TestQuantizeOnFolder: a folder of pictures, every other frame set of it for the comparison.
func TestQuantizeOnFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("many tokens, one after another")
	}
	f32, dir := singleDemo(t), t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	write := func(sets []frameSet) {
		for i, set := range sets {
			images, _ := set()
			for k, m := range images {
				f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d-%d.png", i, k)))
				if err == nil {
					err = errors.Join(png.Encode(f, m), f.Close())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	args := []string{"quantize", f32, "-o", out, "-type", "int4", "-calib", dir, "-quiet"}
	write(patterns(2)[:1])
	if code, _, stderr := tool(t, args...); code != exitInput || !strings.Contains(stderr, "want 2 at least") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	write(patterns(2)[:4])
	code, stdout, stderr := tool(t, args...)
	if code != exitOK || !strings.Contains(stdout, "next token") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	nearest := filepath.Join(t.TempDir(), "nearest.gguf")
	if code, _, stderr := tool(t, "quantize", f32, "-o", nearest, "-type", "int4"); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if got, want := refOf(t, f32, out), refOf(t, f32, nearest); got.KLMean > want.KLMean {
		t.Errorf("divergence on patterns %.5f, without calibration %.5f", got.KLMean, want.KLMean)
	}
}

func TestQuantizeRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"mixed needs -calib":       {"-type", "mixed"},
		"-bits goes with mixed":    {"-type", "int4", "-bits", "5", "-calib", "sim"},
		"-calib goes with int8":    {"-type", "q4_0", "-calib", "sim"},
		"-report and -svg go with": {"-type", "int4", "-report", "x.json"},
		"-clips must not be":       {"-type", "int4", "-calib", "sim", "-clips", "-1"},
		"want a number from 4":     {"-type", "mixed", "-calib", "sim", "-bits", "-1"},
	} {
		code, _, stderr := tool(t, slices.Concat([]string{"quantize", "in.gguf", "-o", "out.gguf"}, args)...)
		if code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit %d, %q, want %q", args, code, stderr, want)
		}
	}
	out := filepath.Join(t.TempDir(), "out.gguf")
	blind := filepath.Join(t.TempDir(), "blind.gguf")
	if code, _, stderr := tool(t, "convert", smallWhole, "-o", blind); code != exitOK {
		t.Fatal(stderr)
	}
	for _, calib := range []string{"sim", "no/such/folder"} {
		code, _, stderr := tool(t, "quantize", blind, "-o", out, "-type", "int4", "-calib", calib)
		if code != exitInput || !strings.Contains(stderr, "no vision tower") {
			t.Errorf("exit %d: %s", code, stderr)
		}
	}
	f32 := singleDemo(t)
	if code, _, stderr := tool(t, "quantize", f32, "-o", out, "-type", "int4", "-calib", "no/such/folder"); code != exitInput || !strings.Contains(stderr, "no/such/folder") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
