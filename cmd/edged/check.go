package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/visualrwkv/edged/edge/config"
)

const configHelp = "configuration `file`; docs/example.yaml explains it"

// checkMain is "edged check".
func checkMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("check", "-config FILE",
		"Says what is wrong with a configuration and its plugins, and whether its model is there, all at\nonce, without opening cameras or models. Exits with 0 when nothing is, 3 when the file is bad.")
	path := fs.String("config", "", configHelp)
	stateFlag := fs.String("state", "", "also with the defaults and plugins of the bundle that is installed in this state `folder`, which are told")
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
	d, brings := new(delivery), ""
	if *stateFlag != "" {
		d = (&depot{state: *stateFlag}).wanted(f.Model)
		if brings, err = bundled(*path, d, f); err != nil {
			printConfigError(stderr, "check", err)
			return exitInput
		}
	}
	if err := errors.Join(checkModelFile(f.Model), checkPlugins(f, d.plugins)); err != nil {
		fmt.Fprintln(stderr, err)
		return exitInput
	}
	fmt.Fprintf(stdout, "%s: good: %s, %s\n%s", *path, plural(len(f.Scenes), "scene"), plural(f.Views(), "view"), brings)
	return exitOK
}

// checkModelFile reports a model file that is not there.
func checkModelFile(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// checkPlugins compiles the plugins of a configuration and of a bundle.
func checkPlugins(f *config.File, bundle []pluginSpec) error {
	h := newPluginHost(config.WASMInterpreter, "", nil)
	defer h.close()
	return h.load(context.Background(), f, bundle).err(false)
}

// bundled says what f, the configuration at path, has from the bundle d that runs, or that is to be tried.
func bundled(path string, d *delivery, f *config.File) (string, error) {
	text := "from " + d.what + ":\n"
	if d.says == "" && d.plugins == nil {
		return "", nil
	}
	all, absent := specs(f, d.plugins)
	for _, p := range all {
		if p.Bundle != "" && p.path != "" {
			text += fmt.Sprintf("  plugin %s, may %s, in %s\n", p.Bundle, strings.Join(p.permissions, ", "), plural(p.Runs(len(f.Scenes)), "scene"))
		}
	}
	for _, name := range absent {
		text += "  no plugin " + name + ", which the configuration names\n"
	}
	if d.says == "" {
		return text, nil
	}
	defaults, err := config.LoadDefaults(d.says)
	if err != nil {
		return "", err
	}
	with, err := config.LoadWith(path, defaults)
	if err != nil {
		return "", err
	}
	for _, l := range with.Differences(f) {
		text += "  " + l + "\n"
	}
	return text, nil
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
