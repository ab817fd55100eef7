package neon

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/emulated"
)

// encoding is a line of testdata/arm64x.s: a macro call, the bytes that it must be, and
// what they mean.
type encoding struct{ call, code, text string }

func encodings(t *testing.T) (all []encoding) {
	src, err := os.ReadFile("testdata/arm64x.s")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^\t(\w+\(.*\))\s+// ([0-9a-f]{8})  (.*)$`)
	for _, m := range line.FindAllStringSubmatch(string(src), -1) {
		all = append(all, encoding{m[1], m[2], m[3]})
	}
	return all
}

// TestMacroBytes compares what the assembler makes of each macro.
func TestMacroBytes(t *testing.T) {
	emulated.SkipProcess(t)
	gotool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is needed to assemble: ", err)
	}
	cmd := exec.Command(gotool, "tool", "asm", "-p", "x", "-S", "-I", ".", "-o", filepath.Join(t.TempDir(), "x.o"), "testdata/arm64x.s")
	cmd.Env = append(os.Environ(), "GOARCH=arm64")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var code string
	for _, m := range regexp.MustCompile(`(?m)^\t0x[0-9a-f]{4}((?: [0-9a-f]{2}){1,16}) `).FindAllStringSubmatch(string(out), -1) {
		code += strings.ReplaceAll(m[1], " ", "")
	}
	all := encodings(t)
	if len(code) < 8*len(all) || len(all) == 0 {
		t.Fatalf("%d calls, %d bytes", len(all), len(code)/2)
	}
	for i, e := range all {
		if got := code[8*i:][:8]; got != e.code {
			t.Errorf("%s: bytes %s, want %s", e.call, got, e.code)
		}
	}
}

// TestMacroText compares what a disassembler makes of the bytes. EDGED_TEST_LLVM makes a
// missing disassembler an error.
func TestMacroText(t *testing.T) {
	emulated.SkipProcess(t)
	mc := ""
	for _, name := range []string{"llvm-mc-19", "llvm-mc"} {
		if path, err := exec.LookPath(name); err == nil {
			mc = path
			break
		}
	}
	if mc == "" {
		if os.Getenv("EDGED_TEST_LLVM") != "" {
			t.Fatal("llvm-mc is not installed")
		}
		t.Skip("llvm-mc is not installed")
	}
	all := encodings(t)
	var in strings.Builder
	for _, e := range all {
		code, err := hex.DecodeString(e.code)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range code {
			in.WriteString("0x" + hex.EncodeToString([]byte{b}) + " ")
		}
		in.WriteString("\n")
	}
	cmd := exec.Command(mc, "--disassemble", "-triple=aarch64", "-mattr=+dotprod,+i8mm,+fullfp16")
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var text []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Join(strings.Fields(line), " "); f != "" && f[0] != '.' {
			text = append(text, f)
		}
	}
	if len(text) != len(all) {
		t.Fatalf("%d lines for %d instructions:\n%s", len(text), len(all), out)
	}
	for i, e := range all {
		if text[i] != e.text {
			t.Errorf("%s: %s is %q, want %q", e.call, e.code, text[i], e.text)
		}
	}
}

// TestMacrosAreProved fails on macros without a line in testdata, and on instructions
// that are written as bare words.
func TestMacrosAreProved(t *testing.T) {
	header, err := os.ReadFile("arm64x.h")
	if err != nil {
		t.Fatal(err)
	}
	proved := map[string]int{}
	for _, e := range encodings(t) {
		proved[e.call[:strings.IndexByte(e.call, '(')]]++
	}
	for _, m := range regexp.MustCompile(`(?m)^#define (\w+)\(.*WORD`).FindAllSubmatch(header, -1) {
		if proved[string(m[1])] < 3 {
			t.Errorf("%s has %d lines in testdata/arm64x.s, want 3", m[1], proved[string(m[1])])
		}
	}
	files, err := filepath.Glob("*.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range bytes.Split(src, []byte("\n")) {
			if regexp.MustCompile(`\b(WORD|BYTE)\b`).Match(line) {
				t.Errorf("%s:%d: a bare word: %s", name, i+1, line)
			}
		}
	}
}

// TestGenerated writes the generated files anew.
func TestGenerated(t *testing.T) {
	emulated.SkipProcess(t)
	gotool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is needed to generate: ", err)
	}
	dir := t.TempDir()
	cmd := exec.Command(gotool, "run", "gen/main.go", "gen/mulp8.go", "gen/mulp4.go", dir)
	cmd.Env = append(os.Environ(), "GOARCH=", "GOOS=") // this machine's
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"mulp8_arm64.s", "mulp4_arm64.s", "tiles_arm64.go"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what gen writes: run go generate", name)
		}
	}
}
