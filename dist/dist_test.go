// Package dist holds what installs edged as a service; there are tests of it only.
package dist

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mostExposed is what "systemd-analyze security" may give the unit, from 0 (nothing is
// exposed) to 10, times ten.
const mostExposed = "25"

// tool skips the test where a program of systemd's is missing, which may not be in
// continuous integration, and in short runs: nothing here depends on the architecture.
func tool(t *testing.T, name string) func(args ...string) (string, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("the same on every architecture")
	}
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return func(args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "SYSTEMD_COLORS=0", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

// unit is the unit in a file of its own, with one line replaced.
func unit(t *testing.T, old, new string) string {
	t.Helper()
	text, err := os.ReadFile("edged.service")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "\n"+old+"\n") != 1 {
		t.Fatalf("edged.service does not hold the line %q once", old)
	}
	path := filepath.Join(t.TempDir(), "edged.service")
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnitIsHardened(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	exposed := func(path string) (string, error) {
		return analyze("security", "--offline=true", "--threshold="+mostExposed, path)
	}
	out, err := exposed(unit(t, "NoNewPrivileges=yes", "NoNewPrivileges=yes"))
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	t.Log(lines[len(lines)-1])
	// Whoever lifts all calls of the kernel is found out.
	if out, err := exposed(unit(t, "SystemCallFilter=@system-service", "User=root\nSystemCallFilter=\nCapabilityBoundingSet=~")); err == nil {
		t.Errorf("a unit without a filter is as good:\n%s", out)
	}
}

// TestUnitIsUnderstood: systemd knows every line. It warns of others and goes on.
func TestUnitIsUnderstood(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	const start = "ExecStart=/usr/bin/edged run -config /etc/edged/edged.yaml"
	if out, err := analyze("verify", "--man=no", unit(t, start, "ExecStart=/bin/true")); err != nil || out != "" {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, _ := analyze("verify", "--man=no", unit(t, start, "ExecStart=/bin/true\nProtectEverything=yes")); !strings.Contains(out, "ProtectEverything") {
		t.Errorf("a line that systemd does not know goes through:\n%s", out)
	}
}

// TestUsers makes the user and the folders in an empty system.
func TestUsers(t *testing.T) {
	sysusers, tmpfiles := tool(t, "systemd-sysusers"), tool(t, "systemd-tmpfiles")
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"sysusers.conf", "tmpfiles.conf"} {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, f), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := sysusers("--root="+root, filepath.Join(root, "sysusers.conf")); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for file, want := range map[string]string{"passwd": "edged:x:", "group": "video:x:"} {
		text, err := os.ReadFile(filepath.Join(root, "etc", file))
		if err != nil || !strings.Contains(string(text), want) || !strings.Contains(string(text), "edged") {
			t.Errorf("%s: %v, lacks %q:\n%s", file, err, want, text)
		}
	}
	if out, err := tmpfiles("--root="+root, "--create", filepath.Join(root, "tmpfiles.conf")); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if st, err := os.Stat(filepath.Join(root, "etc", "edged")); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("folder of the configuration: %v, %v", st, err)
	}
}
