package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/visualrwkv/edged/edge/config"
)

const configHelp = "configuration `file`; docs/example.yaml explains it"

// checkMain is "edged check".
func checkMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("check", "-config FILE",
		"Says what is wrong with a configuration, all at once, without opening anything.\nExits with 0 when nothing is, 3 when the file is bad.")
	path := fs.String("config", "", configHelp)
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	switch {
	case fs.NArg() > 0:
		return wrongUse(fs, stderr, fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	case *path == "":
		return wrongUse(fs, stderr, "no -config")
	}
	f, err := config.Load(*path)
	if err != nil {
		printConfigError(stderr, "check", err)
		return exitInput
	}
	fmt.Fprintf(stdout, "%s: good: %s, %s\n", *path, plural(len(f.Scenes), "scene"), plural(f.Views(), "view"))
	return exitOK
}

// printConfigError prints what is wrong with a configuration. Errors in it have
// places of their own.
func printConfigError(w io.Writer, command string, err error) {
	if _, ok := errors.AsType[config.Errors](err); ok {
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintf(w, "edged %s: %v\n", command, err)
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}
