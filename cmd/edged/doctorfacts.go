package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/vlm"
)

func writeVersion(w io.Writer) error {
	fmt.Fprintf(w, "edged %s, %s, %s/%s, %d CPUs\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if info, ok := debug.ReadBuildInfo(); ok {
		fmt.Fprintln(w, info)
	}
	return nil
}

// writeStatus asks the daemon, if one is there.
func (o doctorOptions) writeStatus(w io.Writer, socket string) error {
	ctx, cancel := context.WithTimeout(context.Background(), sectionPatience/2)
	defer cancel()
	c, err := dial(ctx, socket, "edged doctor")
	if err != nil {
		return fmt.Errorf("no daemon: %w", err)
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if !o.captions {
		for i := range s.Scenes {
			if s.Scenes[i].Caption != "" {
				s.Scenes[i].Caption = "(a caption)"
			}
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

// writeModel opens the model as the daemon does.
func writeModel(w io.Writer, f *config.File) error {
	m, err := openModel(f.Model, nil)
	if err != nil {
		return err
	}
	defer m.Close()
	var views int
	for _, s := range f.Scenes {
		views = max(views, len(s.Views))
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{
		"info": m.Info(), "plan": m.Plan(max(len(f.Scenes), 1), max(views, 1)),
		"backend": vlm.Backend(), "given_up": vlm.BackendsGivenUp(), "edged_kernels": os.Getenv("EDGED_KERNELS"),
	})
}

// machineFiles say what this machine is and how it fares; patterns of paths.
var machineFiles = []string{
	"/etc/os-release", "/proc/version", "/proc/device-tree/model", "/proc/uptime", "/proc/loadavg", "/proc/meminfo",
	"/proc/pressure/*", "/sys/class/thermal/thermal_zone*/type", "/sys/class/thermal/thermal_zone*/temp",
	"/sys/class/thermal/thermal_zone*/trip_point_*_temp", "/sys/devices/platform/soc/soc:firmware/get_throttled",
	"/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
	"/proc/cpuinfo",
}

func writeMachine(w io.Writer) error {
	fmt.Fprintf(w, "now %s\n", time.Now().Format(time.RFC3339))
	return writeFiles(w, machineFiles)
}

// writeFiles writes small files of the kernel's one after another; those that are not
// there are left out.
func writeFiles(w io.Writer, patterns []string) error {
	for _, p := range patterns {
		paths, err := filepath.Glob(p)
		if err != nil {
			return err
		}
		for _, path := range paths {
			text, err := readSome(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				text = err.Error()
			}
			fmt.Fprintf(w, "\n%s\n%s\n", path, strings.TrimRight(text, "\n\x00"))
		}
	}
	return nil
}

// readSome reads the beginning of a file.
func readSome(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 16<<10))
	return string(b), err
}

// writeFolder lists a folder and tells how much room there is.
func writeFolder(w io.Writer, dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	block := uint64(s.Bsize)
	fmt.Fprintf(w, "%d of %d bytes free, %d of %d files, type %#x, flags %#x\n\n", s.Bavail*block, s.Blocks*block, s.Ffree, s.Files, s.Type, s.Flags)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintln(w, err)
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		fmt.Fprintf(w, "%v %10d %s %s\n", info.Mode(), info.Size(), info.ModTime().UTC().Format(time.RFC3339), path)
		return nil
	})
}

// writeLog asks the journal, where there is one.
func writeLog(w io.Writer) error {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return errors.New("no journal on this machine: add what edged wrote to its standard error")
	}
	ctx, cancel := context.WithTimeout(context.Background(), sectionPatience/2)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--unit=edged", "--lines=1000", "--no-pager", "--output=short-iso")
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = time.Second
	return cmd.Run()
}
