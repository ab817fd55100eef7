package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// smallModel is a model of the reference vectors, without a tower, in the two
// halves of an export and whole.
var (
	smallHalves = []string{"../../weights/testdata/hm21_small_rwkv.fp16.pth", "../../weights/testdata/hm21_small_visual.fp16.pth"}
	smallWhole  = "../../weights/testdata/hm21_small.bf16.pth"
)

// tool runs a subcommand in process.
func tool(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(args, stdio{strings.NewReader(""), &out, &err})
	return code, out.String(), err.String()
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConvertCommand(t *testing.T) {
	dir := t.TempDir()
	config := writeFile(t, "c.json", `{"image.decoder_tokens": 4, "image.encoder_tokens": 9, "prompt.stop": 3, "general.name": "small"}`)
	vocab := writeFile(t, "v.txt", "1 'a' 1\n2 ' b' 2\n3 '\\n\\n' 2\n")
	const notes = "edged convert: note: no vision tower: the model will not see; give its file too\n" +
		"edged convert: note: the vocabulary has 3 tokens, the model 200: is it this model's?\n"
	for _, typ := range []string{"f32", "f16", "bf16", "q8_0", "q4_0", "int8", "int4"} {
		out := filepath.Join(dir, typ+".gguf")
		args := append([]string{"convert"}, smallHalves...)
		args = append(args, "-o", out, "-type", typ, "-config", config, "-vocab", vocab)
		if code, _, stderr := tool(t, args...); code != exitOK || stderr != notes {
			t.Fatalf("%s: exit %d: %s", typ, code, stderr)
		}
		f, err := weights.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if name, _ := f.Meta().Str("general.name"); name != "small" {
			t.Errorf("%s: name %q", typ, name)
		}
		if n, _ := f.Meta().Uint32("visualrwkv.image.encoder_tokens"); n != 9 {
			t.Errorf("%s: %d encoder tokens", typ, n)
		}
		if words, _ := f.Meta().Strs("tokenizer.ggml.tokens"); len(words) != 4 || words[3] != `\x0a\x0a` {
			t.Errorf("%s: tokens %q", typ, words)
		}
		f.Close()
	}
	small := filepath.Join(dir, "again.gguf")
	if code, _, stderr := tool(t, "quantize", filepath.Join(dir, "f16.gguf"), "-type", "int4", "-o", small, "-quiet"); code != exitOK || stderr != "" {
		t.Fatalf("quantize: exit %d: %s", code, stderr)
	}
	a, _ := os.ReadFile(small)
	b, _ := os.ReadFile(filepath.Join(dir, "int4.gguf"))
	if !bytes.Equal(a, b) {
		t.Error("quantizing the f16 file differs from converting its source")
	}
	if _, _, stderr := tool(t, "quantize", small, "-type", "q8_0", "-o", filepath.Join(dir, "x.gguf")); !strings.Contains(stderr, "quantised already") {
		t.Errorf("no warning: %q", stderr)
	}
}

func TestFileCommandsRefuse(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.gguf")
	junk := writeFile(t, "junk.pth", "not a model")
	bad := writeFile(t, "bad.json", `{"image.decoder_tokns": 4}`)
	large := writeFile(t, "large.txt", "70000 'a' 1\n")
	blind := filepath.Join(t.TempDir(), "blind.gguf") // no tower, no vocabulary
	if code, _, stderr := tool(t, "convert", smallWhole, "-o", blind); code != exitOK || !strings.Contains(stderr, "no vocabulary") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, c := range []struct {
		code int
		args []string
	}{
		{exitUsage, []string{"convert"}},
		{exitUsage, []string{"convert", smallWhole}},
		{exitUsage, []string{"convert", smallWhole, "-o", out, "-type", "q5_k"}},
		{exitInput, []string{"convert", junk, "-o", out}},
		{exitInput, []string{"convert", smallWhole, "-o", out, "-config", bad}},
		{exitInput, []string{"convert", smallWhole, "-o", out, "-vocab", junk}},
		{exitInput, []string{"convert", smallWhole, "-o", out, "-vocab", large}},
		{exitInput, []string{"convert", smallWhole, smallWhole, "-o", out}},
		{exitInput, []string{"demo", "-frames", "1", "-model", blind}},
		{exitInput, []string{"eval", "-sim", "-clips", "1", "-model", blind}},
		{exitInput, []string{"convert", smallHalves[1], "-o", out}},
		{exitFailed, []string{"convert", smallWhole, "-o", filepath.Join(out, "no", "folder.gguf")}},
		{exitUsage, []string{"quantize", smallWhole, "-o", out}},
		{exitUsage, []string{"quantize", smallWhole, "-o", out, "-type", "f16"}},
		{exitInput, []string{"quantize", smallWhole, "-o", out, "-type", "int8"}},
		{exitUsage, []string{"inspect"}},
		{exitInput, []string{"inspect", junk}},
		{exitUsage, []string{"plan", smallWhole, "-scenes", "0"}},
		{exitInput, []string{"plan", smallHalves[1]}},
		{exitInput, []string{"plan", junk}},
		{exitUsage, []string{"verify"}},
		{exitUsage, []string{"verify", "-nonsense", "x"}},
		{exitInput, []string{"verify", junk}},
		{exitInput, []string{"verify", "none.json"}},
	} {
		code, stdout, stderr := tool(t, c.args...)
		if code != c.code || stderr == "" || stdout != "" {
			t.Errorf("%v: exit %d, want %d; %q; %q", c.args, code, c.code, stdout, stderr)
		}
		// An error about a file names that one.
		for _, file := range []string{junk, bad, blind} {
			if slices.Contains(c.args, file) && code == exitInput && !strings.Contains(stderr, file) {
				t.Errorf("%v: %q does not name %s", c.args, stderr, file)
			}
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused conversion left a file")
	}
	for _, name := range []string{"convert", "quantize", "inspect", "plan", "verify"} {
		if code, stdout, _ := tool(t, name, "-h"); code != exitOK || !strings.Contains(stdout, "usage: edged "+name) {
			t.Errorf("%s -h: exit %d, %q", name, code, stdout)
		}
	}
}

func TestInspectAndPlan(t *testing.T) {
	code, stdout, _ := tool(t, "inspect", smallWhole, "-json")
	var r inspection
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
		t.Fatalf("exit %d: %v", code, err)
	}
	if r.Format != "pth" || r.Config == nil || r.Config.Variant != "hybrid" || r.Config.Blocks != 2 || r.Runs || !strings.Contains(r.Why, "tower") || len(r.Tensors) == 0 {
		t.Errorf("inspection %+v", r)
	}
	if code, stdout, _ = tool(t, "inspect", smallHalves[1]); code != exitOK || !strings.Contains(stdout, "state_encoder.blocks.0.att.key.weight") {
		t.Errorf("half a model: exit %d, %s", code, stdout)
	}

	tower := filepath.Join(t.TempDir(), "tower.gguf")
	infos := []weights.TensorInfo{{Name: "patch_embed.proj.weight", Type: weights.F32, Shape: []int{0, 3, 2, 2}},
		{Name: "pos_embed", Type: weights.F32, Shape: []int{0}}, {Name: "blocks.0.attn.qkv.weight", Type: weights.F32, Shape: []int{0}}}
	if err := weights.WriteGGUF(tower, nil, infos, func(g *weights.GGUFWriter) error {
		return errors.Join(g.Begin(infos[0].Name), g.Begin(infos[1].Name), g.Begin(infos[2].Name))
	}); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ = tool(t, "inspect", tower); code != exitOK || !strings.Contains(stdout, "a siglip tower, of which edged convert makes") {
		t.Errorf("exit %d, %s", code, stdout)
	}

	code, stdout, _ = tool(t, "plan", "-scenes", "3", smallWhole, "-views", "2", "-measure=false", "-json")
	var p map[string]int64
	if err := json.Unmarshal([]byte(stdout), &p); err != nil || code != exitOK {
		t.Fatalf("exit %d: %v", code, err)
	}
	// One encoder block of one head of 64: the state and one shift.
	if p["memory"] != 4*(64*64+64) || p["image_state"] != 4*64*64 || p["scenes"] != 3 || p["views"] != 2 || p["total"] <= p["file"] {
		t.Errorf("plan %v", p)
	}
	if code, stdout, _ = tool(t, "plan", smallWhole); code != exitOK || !strings.Contains(stdout, "image state") || !strings.Contains(stdout, "no estimate of time: the model has no vision tower") {
		t.Errorf("exit %d, %s", code, stdout)
	}

	demo := "model/demo-int8.gguf"
	code, stdout, _ = tool(t, "plan", demo, "-json")
	var m plan
	if err := json.Unmarshal([]byte(stdout), &m); err != nil || code != exitOK || m.Estimate == nil {
		t.Fatalf("exit %d, %v: %s", code, err, stdout)
	}
	e := *m.Estimate
	if sum := e.Vision + e.Encode + e.Prompt + float64(e.Tokens)*e.Token; min(e.Vision, e.Encode, e.Prompt, e.Token) <= 0 || math.Abs(sum-e.Caption) > 1e-6*sum {
		t.Errorf("%+v", e)
	}
	if code, stdout, _ = tool(t, "plan", demo); code != exitOK || !strings.Contains(stdout, "until the first caption") {
		t.Errorf("exit %d, %s", code, stdout)
	}
	for share, busy := range map[float64]bool{0: false, 0.62: true, 0.89: true, 0.97: false} {
		m.Estimate.CPUShare = share
		var b strings.Builder
		if m.show(vlm.Config{}, false, &b, io.Discard); strings.Contains(b.String(), "the machine was busy") != busy {
			t.Errorf("a share of %g: %s", share, &b)
		}
	}
}

// A plan of a language model and a tower in a file of its own is that of the file which
// convert makes of them, but for the names and sums that only this one has.
func TestPlanOfParts(t *testing.T) {
	dir := t.TempDir()
	m := tinymodel.New(tinymodel.Spec{Seed: 5, Vocab: 128, Image: 32, Patch: 8})
	var language, tower tinymodel.Model
	for _, x := range m.Tensors {
		if name, ok := strings.CutPrefix(x.Name, "vit.siglip_featurizer."); ok {
			x.Name = name
			tower.Tensors = append(tower.Tensors, x)
		} else {
			language.Tensors = append(language.Tensors, x)
		}
	}
	one, two, out := filepath.Join(dir, "language.safetensors"), filepath.Join(dir, "tower.safetensors"), filepath.Join(dir, "out.gguf")
	for path, m := range map[string]*tinymodel.Model{one: &language, two: &tower} {
		if err := os.WriteFile(path, m.Safetensors(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := writeFile(t, "c.json", `{"image.decoder_tokens": 4, "vision.siglip.head_count": 2, "general.name": "out"}`)
	planOf := func(args ...string) (p plan) {
		code, stdout, stderr := tool(t, append([]string{"plan", "-json", "-scenes", "2", "-views", "3"}, args...)...)
		if err := json.Unmarshal([]byte(stdout), &p); err != nil || code != exitOK || p.Estimate == nil {
			t.Fatalf("%v: exit %d, %v: %s%s", args, code, err, stdout, stderr)
		}
		p.Estimate = nil
		return p
	}
	for _, typ := range []string{"f16", "int8", "q4_0"} {
		if code, _, stderr := tool(t, "convert", one, two, "-o", out, "-config", config, "-type", typ); code != exitOK {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		want, got := planOf(out), planOf(one, two, "-config", config, "-type", typ)
		if d := want.File - got.File; d < 0 || d > 1024 {
			t.Errorf("%s: a file of %d bytes, %d planned", typ, want.File, got.File)
		}
		got.Total += want.File - got.File
		got.File = want.File
		if got != want {
			t.Errorf("%s: planned %+v, is %+v", typ, got, want)
		}
	}
	if a, b := planOf(one, two, "-config", config), planOf(one, two, "-config", config, "-type", "f16"); a != b {
		t.Errorf("without a type %+v, f16 %+v", a, b)
	}
	if code, _, stderr := tool(t, "plan", two, "-type", "int8"); code != exitInput || !strings.Contains(stderr, "no language model") {
		t.Errorf("a tower alone: exit %d, %s", code, stderr)
	}
	if code, _, _ := tool(t, "plan", one, "-type", "int3"); code != exitUsage {
		t.Errorf("type int3: exit %d", code)
	}
}

func TestVerifyCommand(t *testing.T) {
	dir := t.TempDir()
	for _, f := range append([]string{
		smallWhole, "../../vlm/verify/testdata/index.json",
		"../../vlm/verify/testdata/hm21_small.fp32.pth", "../../vlm/verify/testdata/hm21_small.golden.safetensors",
	}, smallHalves...) {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	index := filepath.Join(dir, "index.json")
	code, stdout, stderr := tool(t, "verify", index)
	if code != exitOK || !strings.Contains(stdout, "0 out of bounds") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	code, stdout, _ = tool(t, "verify", index, "-json")
	var r struct {
		Rows []struct {
			Config, Tensor string
			Error, Bound   float64
			OK             bool
		}
		Skipped []struct{ Config, Why string }
		Backend string
		OK      bool
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK || !r.OK || len(r.Rows) < 60 || r.Backend == "" || r.Skipped == nil {
		t.Errorf("exit %d, %v: %.200s", code, err, stdout)
	}
}

func TestRefResult(t *testing.T) {
	var r refResult
	r.add([]float32{0, float32(math.Log(3))}, []float32{5, 5})
	want := 0.25*math.Log(0.25/0.5) + 0.75*math.Log(0.75/0.5)
	if math.Abs(r.KLMean-want) > 1e-7 || r.KLMax != r.KLMean {
		t.Errorf("divergence %v, want %v", r.KLMean, want)
	}
	if r.Top1 != 0 || r.Tokens != 1 {
		t.Errorf("%+v", r)
	}
	r.add([]float32{1, 2, 3}, []float32{1, 2, 3})
	if r.Top1 != 1 || math.Abs(r.KLMean-want) > 1e-7 {
		t.Errorf("%+v", r)
	}
}

// A model compared with itself.
func TestEvalRef(t *testing.T) {
	if testing.Short() {
		t.Skip("many tokens, one after another")
	}
	var out, errs bytes.Buffer
	if code := evalRef(t.Context(), embedded[0].name, embedded[0].name, "", true, &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	var r refResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.KLMean != 0 || r.KLMax != 0 || r.Top1 != 1 || r.Tokens == 0 {
		t.Errorf("%+v", r)
	}
}

// What a model file was made of, and its licence, is in the file.
func TestConvertNamesItsSources(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.gguf")
	args := append([]string{"convert", "-quiet", "-license", "Apache-2.0", "-o", out}, smallHalves...)
	if code, _, stderr := tool(t, args...); code != exitOK || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	code, stdout, _ := tool(t, "inspect", out, "-json")
	var r inspection
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
		t.Fatalf("exit %d: %v", code, err)
	}
	if r.License != "Apache-2.0" || len(r.Sources) != 2 {
		t.Fatalf("%q, %+v", r.License, r.Sources)
	}
	for i, o := range r.Sources {
		data, err := os.ReadFile(smallHalves[i])
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if o.File != filepath.Base(smallHalves[i]) || o.Bytes != int64(len(data)) || o.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%+v", o)
		}
	}
	if _, stdout, _ = tool(t, "inspect", out); !strings.Contains(stdout, "made of hm21_small_rwkv.fp16.pth") || !strings.Contains(stdout, "licence: Apache-2.0") {
		t.Error(stdout)
	}
}

// A checkpoint with several faults is one error, exit code 3, and leaves nothing.
func TestConvertListsProblems(t *testing.T) {
	dir := t.TempDir()
	code, _, stderr := tool(t, "convert", smallHalves[0], "-o", filepath.Join(dir, "out.gguf"))
	if code != exitInput || !strings.Contains(stderr, "no state encoder") || !strings.Contains(stderr, smallHalves[0]) {
		t.Errorf("exit %d: %s", code, stderr)
	}
	// What the configuration says wrongly is in the same list.
	config := writeFile(t, "c.json", `{"prompt.stop": 7000, "prompt.capton": "?"}`)
	code, _, stderr = tool(t, "convert", smallHalves[0], "-config", config, "-o", filepath.Join(dir, "out.gguf"))
	for _, want := range []string{config, "problems", `unknown key "prompt.capton"`, "7000 is not in 0 to", "no state encoder"} {
		if code != exitInput || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, want %q in %s", code, want, stderr)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
