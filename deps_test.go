package edged_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/emulated"
)

const module = "github.com/visualrwkv/edged/"

// imports is what each package may import directly besides the standard library;
// third parties are written in full. Read upward it is a ladder: kernels, quant,
// blocks, vlm, edge, cmd. A package that is not here fails the test: adding one
// is a decision about the design.
var imports = map[string]string{
	"kernels/portable":        "",
	"kernels/avx":             "",
	"kernels/neon":            "",
	"kernels":                 "kernels/portable kernels/avx kernels/neon golang.org/x/sys/cpu",
	"quant":                   "internal/fault kernels",
	"weights/internal/pickle": "",
	"weights":                 "weights/internal/pickle internal/disk internal/fault golang.org/x/sys/unix",
	"tokenizer":               "",
	"vlm/preprocess":          "kernels",
	"vlm/internal/rwkv":       "quant kernels",
	"vlm/internal/vision":     "quant kernels vlm/preprocess",
	"vlm/internal/encoder":    "vlm/internal/rwkv quant kernels",
	"vlm/internal/decoder":    "vlm/internal/rwkv quant kernels",
	"vlm/internal/prompt":     "tokenizer",
	"vlm/internal/tensors":    "quant kernels weights",
	"vlm/internal/checkpoint": "vlm/internal/tensors quant weights",
	"vlm":                     "internal/fault internal/procmem vlm/internal/* vlm/preprocess quant kernels weights tokenizer",
	"vlm/verify":              "vlm vlm/internal/* vlm/preprocess quant kernels weights tokenizer",
	"vlm/bench":               "internal/layout internal/procmem vlm vlm/internal/* quant kernels weights",
	"vlm/bench/plot":          "",
	"wire":                    "github.com/vmihailenco/msgpack/v5",
	"client":                  "wire",
	"camera":                  "kernels",
	"camera/sim":              "camera",
	"camera/pipe":             "camera",
	"camera/httpcam":          "camera",
	"camera/v4l2":             "camera github.com/blackjack/webcam golang.org/x/sys/unix",
	"edge/journal":            "internal/clock internal/disk go.etcd.io/bbolt go.etcd.io/bbolt/errors golang.org/x/sys/unix",
	"camera/kinds":            "camera camera/httpcam camera/pipe camera/sim camera/v4l2",
	"edge/memory":             "internal/clock internal/disk",
	"edge/thermal":            "",
	"edge":                    "camera edge/journal edge/memory edge/thermal edge/watchdog fw/plugin internal/clock internal/procmem vlm vlm/preprocess wire client",
	"edge/config":             "camera camera/kinds fw github.com/goccy/go-yaml github.com/goccy/go-yaml/ast github.com/goccy/go-yaml/parser",
	"fw":                      "internal/disk github.com/klauspost/compress/zstd golang.org/x/crypto/blake2b",
	"fw/plugin":               "github.com/tetratelabs/wazero github.com/tetratelabs/wazero/api github.com/tetratelabs/wazero/experimental github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1 github.com/tetratelabs/wazero/sys golang.org/x/sys/cpu golang.org/x/sys/unix",
	"cmd/edged":               "camera camera/kinds camera/sim camera/v4l2 client edge edge/config edge/memory edge/thermal edge/watchdog fw fw/plugin internal/affinity internal/crash internal/disk internal/procmem quant tokenizer vlm vlm/bench vlm/bench/plot vlm/preprocess vlm/verify weights wire golang.org/x/sys/unix",
	"sdk":                     "",
	"sdk/examples/alert":      "sdk",
	"train/simgen":            "camera/sim vlm/preprocess",
	"edge/watchdog":           "github.com/coreos/go-systemd/v22/daemon",
	"internal/fault":          "",
	"internal/crash":          "golang.org/x/sys/unix",
	"internal/guard":          "golang.org/x/sys/unix",
	"internal/hostile":        "",
	"internal/emulated":       "",
	"internal/seccomp":        "golang.org/x/sys/unix",
	"internal/fakev4l2":       "internal/seccomp golang.org/x/sys/unix",
	"internal/diskcalls":      "internal/seccomp golang.org/x/sys/unix",
	"internal/affinity":       "golang.org/x/sys/unix",
	"internal/procmem":        "",
	"internal/clock":          "golang.org/x/sys/unix",
	"internal/disk":           "",
	"internal/faultdisk":      "internal/disk",
	"internal/fakeclock":      "internal/clock",
	"internal/backendtest":    "kernels",
	"internal/tinymodel":      "internal/layout quant",
	"internal/layout":         "",
	"internal/wasmtest":       "internal/hostile",
}

// testOnly are packages that nothing but tests may import.
var testOnly = []string{"internal/backendtest", "internal/diskcalls", "internal/emulated", "internal/fakeclock", "internal/fakev4l2", "internal/faultdisk", "internal/guard", "internal/hostile", "internal/seccomp", "internal/tinymodel", "internal/wasmtest"}

// reasons explain the absences that carry the design.
var reasons = map[[2]string]string{
	{"camera", "vlm"}:   "cameras and models share image.Image and nothing else",
	{"edge", "quant"}:   "the daemon does not know number formats",
	{"edge", "kernels"}: "the daemon does not know number formats",
	{"vlm/internal/encoder", "vlm/internal/decoder"}: "encoder and decoder meet in the image state only",
	{"vlm/internal/decoder", "vlm/internal/encoder"}: "encoder and decoder meet in the image state only",
}

type goPackage struct {
	ImportPath, Doc string
	GoFiles         []string
	Imports         []string
}

func list(t *testing.T, goarch string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Doc,GoFiles,Imports", "./...")
	cmd.Env = append(os.Environ(), "GOARCH="+goarch, "GOOS=linux", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
}

func needGo(t *testing.T) {
	t.Helper()
	emulated.SkipProcess(t)
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is needed to list packages: ", err)
	}
}

func TestImports(t *testing.T) {
	needGo(t)
	for _, goarch := range []string{"amd64", "arm64", "arm"} {
		for _, p := range list(t, goarch) {
			name := strings.TrimPrefix(p.ImportPath, module)
			row, ok := imports[name]
			if !ok {
				t.Errorf("%s has no row in the table of imports", name)
				continue
			}
			for _, i := range p.Imports {
				ours := strings.HasPrefix(i, module)
				if !ours && !strings.Contains(strings.SplitN(i, "/", 2)[0], ".") {
					continue // standard library
				}
				i = strings.TrimPrefix(i, module)
				if slices.Contains(testOnly, i) && !slices.Contains(testOnly, name) {
					t.Errorf("%s imports %s, which is for tests", name, i)
				} else if !allowed(row, i) {
					t.Errorf("%s (%s) may not import %s %s", name, goarch, i, reasons[[2]string{name, i}])
				}
			}
		}
	}
}

func allowed(row, path string) bool {
	for a := range strings.FieldsSeq(row) {
		if prefix, all := strings.CutSuffix(a, "*"); a == path || all && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// TestTableIsKept fails on rows for packages that are no more.
func TestTableIsKept(t *testing.T) {
	for name := range imports {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("row for %s: %v", name, err)
		}
	}
}

func TestPackagesHaveDocs(t *testing.T) {
	needGo(t)
	for _, p := range list(t, "amd64") {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
