package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/visualrwkv/edged/internal/affinity"
)

// newFlags makes the flags of a subcommand; synopsis is what follows its name,
// about a sentence or two below it.
func newFlags(name, synopsis, about string) *flag.FlagSet {
	fs := flag.NewFlagSet("edged "+name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: edged %s %s\n\n%s\n\n", name, synopsis, about)
		fs.PrintDefaults()
	}
	return fs
}

// parseFlags parses args. When ok is false the subcommand ends with code: help
// was asked for, or the use was wrong and stderr says how.
func parseFlags(fs *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, ok bool) {
	usage := fs.Usage
	fs.Usage = func() {}
	err := fs.Parse(args)
	fs.Usage = usage
	switch {
	case err == nil:
		return exitOK, true
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(stdout)
		fs.Usage()
		return exitOK, false
	}
	return wrongUse(fs, stderr, err.Error()), false
}

// parseMixed parses flags that stand before, between and after the operands,
// which it returns. What follows "--" is operands, whatever it begins with.
func parseMixed(fs *flag.FlagSet, args []string, stdout, stderr io.Writer) (operands []string, code int, ok bool) {
	for {
		if code, ok = parseFlags(fs, args, stdout, stderr); !ok {
			return nil, code, false
		}
		rest := fs.Args()
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			return append(operands, rest...), exitOK, true
		}
		if len(rest) == 0 {
			return operands, exitOK, true
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}

// wrongUse says what was wrong and where to read more.
func wrongUse(fs *flag.FlagSet, stderr io.Writer, what string) int {
	fmt.Fprintf(stderr, "%s: %s (see %s -h)\n", fs.Name(), what, fs.Name())
	return exitUsage
}

// version is what the Go toolchain recorded about this build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

const (
	threadsHelp = "`goroutines` that compute; 0 is one per CPU"
	cpusHelp    = "bind edged to these CPUs, a `list` such as 4-7 or 0,2 (default: those it may use)"
)

// cpuList is a flag that names CPUs.
type cpuList []int

func (c *cpuList) String() string { return "" }

// Set implements [flag.Value].
func (c *cpuList) Set(list string) (err error) {
	*c, err = affinity.Parse(list)
	return err
}

// bind binds this process to the CPUs, if there are any.
func (c cpuList) bind() error {
	if len(c) == 0 {
		return nil
	}
	return affinity.Set(c)
}
