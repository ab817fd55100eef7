//go:build amd64 || arm64

package plugin

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/emulated"
	"github.com/visualrwkv/edged/internal/seccomp"
)

// denials take this process the right to make memory executable, for good.
var denials = map[string]func() error{
	// What MemoryDenyWriteExecute= of a systemd unit does: an attribute of the process,
	"attribute": func() error { return unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) },
	// and where the kernel has none, a filter.
	"filter": func() error {
		_, err := seccomp.Install([]unix.SockFilter{
			{Code: seccomp.Load},
			{Code: seccomp.Equal, Jf: 3, K: unix.SYS_MPROTECT},
			{Code: seccomp.Load, K: seccomp.Low(2)},
			{Code: seccomp.Bits, Jf: 1, K: unix.PROT_EXEC},
			{Code: seccomp.Ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
			{Code: seccomp.Ret, K: unix.SECCOMP_RET_ALLOW},
		})
		return err
	},
}

// TestDenied runs a plugin in a process that may not make memory executable.
func TestDenied(t *testing.T) {
	if how := os.Getenv("EDGED_TEST_DENY"); how != "" {
		denied(t, denials[how])
		return
	}
	emulated.SkipProcess(t)
	if err := compilerDenied(); err != nil {
		t.Skip(err)
	}
	for how := range denials {
		t.Run(how, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDenied$", "-test.v")
			cmd.Env = append(os.Environ(), "EDGED_TEST_DENY="+how)
			out, err := cmd.CombinedOutput()
			if bytes.Contains(out, []byte("--- SKIP")) {
				t.Skipf("%s", out)
			}
			if err != nil || !bytes.Contains(out, []byte("--- PASS: TestDenied")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func denied(t *testing.T, deny func() error) {
	if err := deny(); err != nil {
		t.Skip("this kernel cannot deny it: ", err)
	}
	if _, err := NewEngine(t.Context(), EngineConfig{Mode: "compiler"}); err == nil || !strings.Contains(err.Error(), "may not make memory executable") {
		t.Errorf("with the compiler: %v", err)
	}
	e := newEngine(t, EngineConfig{CacheDir: t.TempDir()})
	if !strings.HasPrefix(e.Mode(), "interpreter (auto: this process may not make memory executable") {
		t.Errorf("mode %q", e.Mode())
	}
	t.Log(e.Mode())
	p := start(t, e, guest(verdict(1, 0, 0, 0, 0, 0), ""), new(record).options())
	if v := p.Frame(t.Context(), preview()); !v.Skip {
		t.Errorf("%+v, %+v", v, p.Status())
	}
}
