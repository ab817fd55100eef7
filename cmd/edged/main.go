// Command edged watches a place through cameras with a VisualRWKV-HM model that
// keeps what it has seen in a state of fixed size; see the README. Each
// subcommand has a file of its own, and "edged help" lists them.
package main

import (
	"fmt"
	"io"
	"os"
)

// Exit codes, the same for every subcommand.
const (
	exitOK     = 0
	exitFailed = 1 // the check failed, or what was asked for could not be done
	exitUsage  = 2 // wrong use
	exitInput  = 3 // a bad input file
)

// command is one subcommand; run returns the exit code.
type command struct {
	name, about string
	run         func(args []string, std stdio) int
}

// stdio is what a subcommand may talk to, so that tests can run it in process.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// simple adapts a subcommand that reads no input.
func simple(f func(args []string, stdout, stderr io.Writer) int) func([]string, stdio) int {
	return func(args []string, std stdio) int { return f(args, std.out, std.err) }
}

var commands = []command{
	{"demo", "watch a simulated room, or a folder of pictures, with the embedded model", simple(demoMain)},
	{"run", "watch the scenes of a configuration", simple(runMain)},
	{"check", "say what is wrong with a configuration", simple(checkMain)},
	{"ask", "ask a running daemon a question", askMain},
	{"watch", "follow the captions of a running daemon", simple(watchMain)},
	{"log", "search the captions that a daemon has kept", simple(logMain)},
	{"status", "tell how a running daemon is", simple(statusMain)},
	{"cams", "list cameras, and say why one cannot be used", simple(camsMain)},
	{"doctor", "collect what a bug report needs", simple(doctorMain)},
	{"convert", "make a model file of a checkpoint", simple(convertMain)},
	{"quantize", "make a smaller model file", simple(quantizeMain)},
	{"inspect", "show what is in a model file", simple(inspectMain)},
	{"plan", "say how much memory a model will need", simple(planMain)},
	{"verify", "check this program on this machine against reference vectors", simple(verifyMain)},
	{"fw", "make, check and install signed bundles of a model, plugins and defaults", fwMain},
	{"bench", "measure how fast models run on this machine", simple(benchMain)},
	{"eval", "measure a model on simulated rooms, or against another model", simple(evalMain)},
}

// main is tiny so that everything else can be tested in process.
func main() {
	os.Exit(run(os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

func run(args []string, std stdio) int {
	if len(args) == 0 {
		usage(std.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		if len(args) < 2 {
			usage(std.out)
			return exitOK
		}
		args = []string{args[1], "-h"}
	case "version", "-version", "--version":
		fmt.Fprintln(std.out, "edged "+version())
		return exitOK
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(args[1:], std)
		}
	}
	fmt.Fprintf(std.err, "edged: no command %q; \"edged help\" lists them\n", args[0])
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "edged watches a place through cameras and remembers what it has seen.\n\nusage: edged COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.about)
	}
	fmt.Fprint(w, "\nExit codes: 0 done, 1 it failed or could not be done, 2 wrong use, 3 a bad input file.\n\"edged COMMAND -h\" explains one. Without a camera, begin with: edged demo\n")
}
