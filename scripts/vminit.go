//go:build ignore

// The first process of the machine that vm.sh boots: it mounts the usual file
// systems, loads the modules of /etc/modules (path and parameters, one a line),
// mounts the disk at /disk if there is a file /etc/disk, runs /etc/argv (one argument a line) with its output on the port to the host,
// says its exit status there, and powers the machine off.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

var finitModule = map[string]uintptr{"arm64": 273, "amd64": 313}[runtime.GOARCH]

func main() {
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		os.MkdirAll(m[1], 0o755)
		if err := syscall.Mount(m[0], m[1], m[0], 0, ""); err != nil && err != syscall.EBUSY {
			fmt.Println("vminit: mount", m[1], err)
		}
	}
	for _, l := range lines("/etc/modules") {
		path, params, _ := strings.Cut(l, " ")
		if err := load(path, params); err != nil && err != syscall.EEXIST {
			fmt.Println("vminit: load", path, err)
		}
	}
	if _, err := os.Stat("/etc/disk"); err == nil {
		wait("/dev/vda")
		os.Mkdir("/disk", 0o755)
		if err := syscall.Mount("/dev/vda", "/disk", "ext4", 0, ""); err != nil {
			fmt.Println("vminit: mount /disk", err)
		}
	}
	port := openPort()
	code := 125
	argv := lines("/etc/argv")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = port, port, "/files"
	cmd.Env = append([]string{"PATH=/files", "HOME=/tmp", "TMPDIR=/tmp"}, lines("/etc/env")...)
	if err := cmd.Run(); cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	} else {
		fmt.Fprintln(port, "vminit:", err)
	}
	up, _ := os.ReadFile("/proc/uptime")
	fmt.Fprintf(port, "vm: exit %d after %s s\n", code, strings.Fields(string(up) + " ?")[0])
	port.Close()
	syscall.Unmount("/disk", 0)
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func lines(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func load(path, params string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := syscall.BytePtrFromString(params)
	if err != nil {
		return err
	}
	if _, _, e := syscall.Syscall(finitModule, f.Fd(), uintptr(unsafe.Pointer(p)), 0); e != 0 {
		return e
	}
	return nil
}

// openPort opens the virtio port to the host; without one, the console.
func openPort() *os.File {
	if path := wait("/dev/vport*"); path != "" {
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			return f
		}
	}
	return os.Stdout
}

// wait waits until there is a file of this pattern and returns its path; empty
// after five seconds.
func wait(pattern string) string {
	for range 500 {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ""
}
