package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/layout"
)

// peakFile is where a process that behaves as edged says how much memory it had. What the kernel
// tells of a process that has ended counts what this one had when it started it.
const peakFile = "EDGED_TEST_PEAK"

func init() {
	if path := os.Getenv(peakFile); path != "" {
		afterMain = func() error {
			status, err := os.ReadFile("/proc/self/status")
			if err != nil {
				return err
			}
			return os.WriteFile(path, status, 0o600)
		}
	}
}

// peakOf is the most that was resident, of such a file.
func peakOf(t *testing.T, path string) (n int64) {
	t.Helper()
	status, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatalf("%v: %s", err, status)
	}
	return n << 10 // kB
}

// TestConvertMemory converts files that are larger than what conversion may take, and
// compares the most that was resident, mapped pages included, with the largest tensor. `make
// soak` does it with the shape of a 7B model, 15 GB that take no space on disk; its int4 file
// takes 4.2 GB for a while.
func TestConvertMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("converts 400 MB")
	}
	for _, c := range []struct {
		blocks, width, ffn, vocab int
		typ                       string
		limit                     int64 // besides twice the largest tensor
		soak                      bool
	}{
		{14, 1024, 3584, 4096, "int8", 64 << 20, false},
		{32, 4096, 14336, 65536, "int4", 256 << 20, true},
	} {
		if c.soak && os.Getenv("EDGED_SOAK") == "" {
			continue
		}
		in, out := filepath.Join(t.TempDir(), "in.safetensors"), filepath.Join(t.TempDir(), "out.gguf")
		total, largest := sparseModel(t, in, c.blocks, c.width, c.ffn, c.vocab)
		limit := 2*largest + c.limit
		if total < 2*limit {
			t.Fatalf("a file of %d bytes proves nothing about %d", total, limit)
		}
		cmd := exec.Command(os.Args[0], "convert", in, "-o", out, "-type", c.typ)
		peaks := filepath.Join(t.TempDir(), "peak")
		cmd.Env = append(os.Environ(), asMain+"=1", peakFile+"="+peaks)
		start := time.Now()
		if log, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, log)
		}
		took := time.Since(start)
		peak := peakOf(t, peaks)
		info, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d MB to %d MB of %s in %v: peak %d MB, largest tensor %d MB", total>>20, info.Size()>>20, c.typ, took, peak>>20, largest>>20)
		if peak > limit {
			t.Errorf("%d MB were resident, want at most %d", peak>>20, limit>>20)
		}
	}
}

// A conversion that is ended while it writes leaves nothing half written.
func TestConvertKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("converts 400 MB")
	}
	in, dir := filepath.Join(t.TempDir(), "in.safetensors"), t.TempDir()
	sparseModel(t, in, 14, 1024, 3584, 4096)
	signals := []os.Signal{os.Interrupt}
	if fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600); err == nil { // else the file has a name
		unix.Close(fd)
		signals = append(signals, os.Kill)
	}
	for _, sig := range signals {
		cmd := exec.Command(os.Args[0], "convert", in, "-o", filepath.Join(dir, "out.gguf"), "-type", "int8")
		cmd.Env = append(os.Environ(), asMain+"=1")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The first half is spent on the source's sum.
		var percent int
		lines := bufio.NewScanner(stderr)
		for percent < 60 && lines.Scan() {
			fmt.Sscan(lines.Text(), &percent)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		said := ""
		for lines.Scan() {
			said += lines.Text()
		}
		if cmd.Wait() == nil || percent < 60 {
			t.Skip("was too fast to be ended")
		}
		if sig == os.Interrupt && (cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(said, "interrupted")) {
			t.Errorf("%v: exit %d, %q", sig, cmd.ProcessState.ExitCode(), said)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%v left %v", sig, left)
		}
	}
}

// sparseModel writes a vanilla model of bf16 zeros that takes no space.
func sparseModel(t *testing.T, path string, blocks, c, ffn, vocab int) (total, largest int64) {
	t.Helper()
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	head := map[string]entry{}
	var at int64
	for _, x := range (layout.Language{
		Variant: "vanilla", Width: c, HeadSize: 64, FFN: ffn, Vocab: vocab, Blocks: blocks, Mix: 64, Decay: 128,
	}).Tensors() {
		n := 2 * int64(x.Len())
		head[x.Name] = entry{"BF16", x.Shape, [2]int64{at, at + n}}
		at += n
		largest = max(largest, n)
	}
	h, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	total = 8 + int64(len(h)) + at
	if _, err := f.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(total); err != nil {
		t.Fatal(err)
	}
	return total, largest
}
