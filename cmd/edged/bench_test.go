package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// benchArgs are flags for a run that takes next to no time: of the smallest shape,
// which is for tests, once.
func benchArgs(t *testing.T, more ...string) []string {
	args := []string{"bench", "-shape", "tiny", "-tower", "tiny", "-runs", "1", "-tokens", "2", "-threads", "1", "-cache", t.TempDir()}
	return append(args, more...)
}

func TestBenchJSON(t *testing.T) {
	code, out, stderr := runCommand(t, benchArgs(t, "-what", "all", "-type", "int8,int4", "-context", "16", "-batch", "1,3", "-json", "-quiet")...)
	if code != exitOK || stderr != "" {
		t.Fatalf("code %d: %s", code, stderr)
	}
	var report struct {
		Rows []map[string]any `json:"rows"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	want := "decode decode prefill vision batch batch context startup "
	var whats strings.Builder
	for _, r := range report.Rows {
		whats.WriteString(r["what"].(string) + " ")
		for _, k := range []string{"shape", "type", "backend"} {
			if s, ok := r[k].(string); !ok || s == "" {
				t.Errorf("%s is %v in %v", k, r[k], r)
			}
		}
		for _, k := range []string{"threads", "batch", "context", "tok_s", "ms", "weight_gb_s", "read_gb_s", "rss_bytes", "model_bytes"} {
			if _, ok := r[k].(float64); !ok {
				t.Errorf("%s is %v in %v", k, r[k], r)
			}
		}
		if r["read_gb_s"] != 0.0 || r["runs"] != 1.0 {
			t.Errorf("bandwidth measured for one run: %v", r)
		}
	}
	if whats.String() != want+want {
		t.Errorf("rows %q", whats.String())
	}
}

func TestBenchTableAndPlots(t *testing.T) {
	dir := t.TempDir()
	code, out, stderr := runCommand(t, benchArgs(t, "-what", "batch,context", "-context", "2000", "-svg", filepath.Join(dir, "svg"))...)
	if code != exitOK || strings.Count(out, "\n") != 1+4+2 || !strings.Contains(out, "tok/s") {
		t.Fatalf("code %d: %s\n%s", code, stderr, out)
	}
	rows := filepath.Join(dir, "rows.json")
	data := `{"rows":[{"what":"batch","shape":"1b6","type":"int4","threads":2,"batch":1,"tok_s":10,"read_gb_s":20,"weight_gb_s":9},
		{"what":"batch","shape":"1b6","type":"int4","threads":2,"batch":8,"tok_s":61,"peer":{"tok_s":50,"ratio":1.22}}]}`
	if err := os.WriteFile(rows, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
	code, out, stderr = runCommand(t, "bench", "-rows", rows, "-svg", filepath.Join(dir, "again"))
	if code != exitOK || !strings.Contains(out, "45 %") || !strings.Contains(out, "1.22") {
		t.Errorf("code %d: %s\n%s", code, stderr, out)
	}
	for _, name := range []string{"svg/batch-speed.svg", "svg/context-speed.svg", "svg/context-memory.svg", "again/batch-speed.svg"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if err := xml.Unmarshal(b, new(struct{})); err != nil || bytes.Contains(b, []byte("NaN")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "again", "context-speed.svg")); err == nil {
		t.Error("a plot without rows")
	}
}

func TestBenchRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.gguf")
	if err := os.WriteFile(bad, []byte("GGUF and no more"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"-shape 9b", exitUsage, "unknown shape"},
		{"-type q9", exitUsage, "unknown type"},
		{"-what sleep", exitUsage, "unknown measurement"},
		{"-threads two", exitUsage, "not a number"},
		{"-threads -1", exitUsage, "threads"},
		{"-cpus 3-1", exitUsage, "goes backwards"},
		{"-cpus 1023", exitUsage, "CPU 1023 is not one"},
		{"-batch 65", exitUsage, "sequences"},
		{"-runs 0", exitUsage, "-runs"},
		{"-tokens -1", exitUsage, "tokens"},
		{"-tower sam-x", exitUsage, "unknown tower"},
		{"-model x -shape 1b6", exitUsage, "-shape is for random"},
		{"-model x -peer y", exitUsage, "peer"},
		{"more", exitUsage, "unexpected argument"},
		{"-model /nowhere.gguf -runs 1", exitInput, "nowhere.gguf"},
		{"-runs 1 -model " + bad, exitInput, "bad.gguf"},
		{"-rows " + bad, exitInput, "bad.gguf"},
	} {
		code, out, stderr := runCommand(t, append([]string{"bench"}, strings.Fields(tt.args)...)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("edged bench %s: code %d, want %d: %s%s", tt.args, code, tt.code, out, stderr)
		}
	}
}

// TestBenchInterrupted shows that what is known is printed.
func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b benchFlags
	b.json = true
	b.Shape, b.Runs, b.Cache = "tiny", 1, t.TempDir()
	b.runs = append(b.runs, b.Options)
	var stdout, stderr bytes.Buffer
	if code := b.run(ctx, &stdout, &stderr); code != exitFailed || stdout.String() != "{\"rows\":[]}\n" || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("code %d: %s%s", code, stdout.String(), stderr.String())
	}
}
