package procmem

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Limit is the most memory that this process can have, and what sets it: the machine, or
// the nearest control group that allows less. 0 where the system does not say.
func Limit() (limit int64, by string) { return limitIn("/") }

// limitIn is Limit with the files of the system below root.
func limitIn(root string) (limit int64, by string) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return ""
		}
		return string(b)
	}
	least := func(text, what string) {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err == nil && n > 0 && (limit == 0 || n < limit) {
			limit, by = n, what
		}
	}
	for line := range strings.Lines(read("proc/meminfo")) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				limit, by = kib<<10, "the machine's memory"
			}
		}
	}
	for line := range strings.Lines(read("proc/self/cgroup")) {
		// hierarchy:controllers:path, of version 2 without controllers
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		if f[1] != "" {
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// Those above count too. In a container the path may be one of its host, and
		// what is mounted is the group itself.
		for group := path.Clean("/" + f[2]); ; group = path.Dir(group) {
			name := path.Join(mount, group, file)
			least(read(name), "/"+name)
			if group == "/" {
				break
			}
		}
	}
	return limit, by
}

// Available is how much memory the machine can give without swapping; 0 where it does
// not say.
func Available() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "MemAvailable:" {
			if kib, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
