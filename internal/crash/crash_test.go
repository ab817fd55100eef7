package crash_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/crash"
	"github.com/visualrwkv/edged/internal/emulated"
)

const asVictim = "EDGED_TEST_VICTIM"

func TestMain(m *testing.M) {
	if end := os.Getenv(asVictim); end != "" {
		victim(end, os.Args[1])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victim is a process that ends in the given way.
func victim(end, dir string) {
	k, err := crash.Open(dir, "edged v1.2.3\nstarted for a test")
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	switch end {
	case "well":
		if err := k.Close(); err != nil {
			panic(err)
		}
	case "panic":
		go func() { panic("the model is gone") }()
		select {}
	case "nil":
		go func() { var p *int; *p = 1 }()
		select {}
	case "deep":
		for range 3000 {
			go func() { select {} }()
		}
		time.Sleep(100 * time.Millisecond)
		panic("with many goroutines")
	case "watchdog":
		go func() { select {} }()
		if err := k.Note("frozen: capture of front"); err != nil {
			panic(err)
		}
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	case "killed":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// die runs a victim and returns what was wrong with its start.
func die(t *testing.T, end, dir string) string {
	t.Helper()
	emulated.SkipProcess(t)
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), asVictim+"="+end)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out)
}

// open is the start after a crash.
func open(t *testing.T, dir string) *crash.Report {
	t.Helper()
	k, err := crash.Open(dir, "edged next")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	return k.Last()
}

func needProcess(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a process, which emulators cannot")
	}
}

func TestReports(t *testing.T) {
	needProcess(t)
	for _, test := range []struct{ end, cause, holds string }{
		{"well", "", ""},
		{"panic", "panic: the model is gone", "crash_test.victim"},
		{"nil", "panic: runtime error: invalid memory address or nil pointer dereference", "crash_test.victim"},
		{"watchdog", "frozen: capture of front; SIGABRT: abort", "goroutine"},
		{"killed", "it was killed, or the power failed", ""},
	} {
		t.Run(test.end, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "crash")
			if out := die(t, test.end, dir); out != "" {
				t.Fatal(out)
			}
			last := open(t, dir)
			reports, err := crash.Reports(dir)
			if err != nil {
				t.Fatal(err)
			}
			if test.cause == "" {
				if last != nil || len(reports) > 0 {
					t.Errorf("%v, %v after a good end", last, reports)
				}
				return
			}
			if last == nil || last.Cause != test.cause {
				t.Fatalf("%v, want %q", last, test.cause)
			}
			if test.holds == "" {
				if last.File != "" || len(reports) > 0 {
					t.Errorf("reports of nothing: %v, %v", last, reports)
				}
				return
			}
			if len(reports) != 1 || reports[0] != *last {
				t.Fatalf("%v, want the one of %v", reports, last)
			}
			text, err := os.ReadFile(last.File)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"edged v1.2.3\nstarted for a test\n--\n", test.holds} {
				if !strings.Contains(string(text), want) {
					t.Errorf("%s lacks %q:\n%s", last.File, want, text)
				}
			}
			if again := open(t, dir); again != nil {
				t.Errorf("told twice: %v", again)
			}
		})
	}
}

// TestBounded: reports are few and short, whatever the runtime wrote.
func TestBounded(t *testing.T) {
	needProcess(t)
	dir := t.TempDir()
	die(t, "deep", dir)
	for range crash.Keep + 1 {
		die(t, "panic", dir)
	}
	open(t, dir)
	reports, err := crash.Reports(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != crash.Keep || filepath.Base(reports[0].File) != "crash-000010.txt" {
		t.Errorf("kept %v", reports)
	}

	dir = t.TempDir()
	die(t, "deep", dir)
	r := open(t, dir)
	if r == nil || r.Cause != "panic: with many goroutines" {
		t.Fatalf("%v", r)
	}
	if st, err := os.Stat(r.File); err != nil || st.Size() != crash.Size {
		t.Errorf("%v, %v: want %d bytes", st.Size(), err, crash.Size)
	}
}

func TestBusy(t *testing.T) {
	needProcess(t)
	dir := t.TempDir()
	k, err := crash.Open(dir, "first")
	if err != nil {
		t.Fatal(err)
	}
	if out := die(t, "well", dir); !strings.Contains(out, crash.ErrBusy.Error()) {
		t.Errorf("second: %q", out)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if out := die(t, "well", dir); out != "" {
		t.Errorf("after the first: %q", out)
	}
	if err := k.Note("too late"); err != nil {
		t.Error(err)
	}
}

// TestForeignFiles: what else lies in the folder, or is damaged, hurts nothing.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"running": "\x00\x01 no head", "crash-1.txt": "", "crash-00000a.txt": "", "crash-000003.txt": strings.Repeat("x", 1<<20), "notes": "mine",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := open(t, dir); r == nil || r.File != "" {
		t.Errorf("last %v", r)
	}
	reports, err := crash.Reports(dir)
	if err != nil || len(reports) != 1 {
		t.Errorf("%v, %v", reports, err)
	}
	if _, err := crash.Open(filepath.Join(dir, "notes"), ""); err == nil {
		t.Error("a file is no folder")
	}
	var none *crash.Keeper
	if err := errors.Join(none.Note("x"), none.Close()); err != nil {
		t.Error(err)
	}
}
