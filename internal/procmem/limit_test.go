package procmem

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLimit(t *testing.T) {
	const machine = "MemTotal:        1000 kB\nMemFree:  1 kB\n"
	for _, test := range []struct {
		name  string
		files map[string]string
		limit int64
		by    string
	}{
		{"nothing is known", nil, 0, ""},
		{"a machine", map[string]string{"proc/meminfo": machine}, 1000 << 10, "the machine's memory"},
		{"version 2", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/edged.service\n",
			"sys/fs/cgroup/system.slice/edged.service/memory.max": "500000\n",
			"sys/fs/cgroup/system.slice/memory.max":               "max\n",
		}, 500000, "/sys/fs/cgroup/system.slice/edged.service/memory.max"},
		{"one above allows less", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "500000\n", "sys/fs/cgroup/a/memory.max": "400000\n",
		}, 400000, "/sys/fs/cgroup/a/memory.max"},
		{"version 1, in a container", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "3:cpu,cpuacct:/x\n2:memory:/docker/123\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "300000\n", "sys/fs/cgroup/cpu/x/memory.limit_in_bytes": "1\n",
		}, 300000, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		{"version 1, no limit", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "2:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 1000 << 10, "the machine's memory"},
		{"nonsense", map[string]string{
			"proc/meminfo": "MemTotal: many kB\nMemTotal:\n", "proc/self/cgroup": "x\n0::/../../etc\n:::\n", "sys/fs/cgroup/etc/memory.max": "-1",
		}, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range test.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if limit, by := limitIn(root); limit != test.limit || by != test.by {
				t.Errorf("%d by %q, want %d by %q", limit, by, test.limit, test.by)
			}
		})
	}
}

// TestLimitHere: what is there to be had is no more than there is.
func TestLimitHere(t *testing.T) {
	limit, by := Limit()
	if _, err := os.Stat("/proc/meminfo"); err != nil {
		t.Skip(err)
	}
	if limit < Resident() || by == "" {
		t.Errorf("%d by %q, %d resident", limit, by, Resident())
	}
	if a := Available(); a <= 0 {
		t.Errorf("%d available", a)
	}
}
