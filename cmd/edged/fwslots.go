package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/visualrwkv/edged/fw"
)

// slotCommand is a command about the slots: it may change something, and tells how they are then.
type slotCommand struct {
	name, about string
	change      func(*fw.Store) error // nil: it only looks
	bundles     bool                  // what is installed is told with its files
	then        string                // what a person has to know after a change
}

// fwStatusMain is "edged fw status".
func fwStatusMain(args []string, stdout, stderr io.Writer) int {
	return slotCommand{name: "status", about: "Tells what runs, what is being tried, and what each slot holds."}.main(args, stdout, stderr)
}

// fwListMain is "edged fw list".
func fwListMain(args []string, stdout, stderr io.Writer) int {
	return slotCommand{name: "list", about: "Lists the bundles that are installed, with their files.", bundles: true}.main(args, stdout, stderr)
}

// fwCommitMain is "edged fw commit".
func fwCommitMain(args []string, stdout, stderr io.Writer) int {
	return slotCommand{
		name: "commit", about: "Keeps what is being tried, without waiting until it has proved itself.",
		change: (*fw.Store).Commit,
	}.main(args, stdout, stderr)
}

// fwRollbackMain is "edged fw rollback".
func fwRollbackMain(args []string, stdout, stderr io.Writer) int {
	return slotCommand{
		name: "rollback", about: `Gives up what is being tried. When nothing is, the next start of "edged run", or its next reload, goes back
to what ran before, or to what the binary brings.`,
		change: func(s *fw.Store) error { return s.Rollback("someone asked for it") },
		then:   "An edged that is running goes over to it at its next reload (SIGHUP, or systemctl reload edged).",
	}.main(args, stdout, stderr)
}

func (c slotCommand) main(args []string, stdout, stderr io.Writer) int {
	flags := newFlags("fw "+c.name, "[-state DIR] [-json]", c.about)
	stateFlag := flags.String("state", "", stateHelp)
	asJSON := flags.Bool("json", false, "print one JSON object")
	if code, ok := parseFlags(flags, args, stdout, stderr); !ok {
		return code
	}
	if flags.NArg() > 0 {
		return wrongUse(flags, stderr, fmt.Sprintf("unexpected argument %q", flags.Arg(0)))
	}
	var all []slotReport
	state, err := statePath(*stateFlag, "")
	if err == nil {
		all, err = c.do(state)
	}
	if err == nil && *asJSON {
		err = json.NewEncoder(stdout).Encode(map[string]any{"slots": all})
	} else if err == nil {
		err = printSlots(stdout, all)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", flags.Name(), err)
		return exitFailed
	}
	if c.then != "" && !*asJSON {
		fmt.Fprintln(stderr, c.then)
	}
	return exitOK
}

func (c slotCommand) do(state string) (all []slotReport, err error) {
	if err := becomeOwner(state); err != nil {
		return nil, err
	}
	if c.change == nil {
		s, err := lookAtStore(state)
		if err != nil {
			return nil, err
		}
		return c.report(s), nil
	}
	err = withStore(state, func(s *fw.Store, damaged error) error {
		if damaged != nil {
			return damaged
		}
		if err := c.change(s); err != nil {
			return err
		}
		all = c.report(s)
		return nil
	})
	return all, err
}

func (c slotCommand) report(s *fw.Store) []slotReport {
	all := slotReports(s.State())
	for i := range all {
		if m := s.Manifest(all[i].Slot); m != nil && c.bundles {
			b := describeBundle(m)
			all[i].Bundle = &b
		}
	}
	return all
}

// slotReport is what is told of a slot.
type slotReport struct {
	Slot    string      `json:"slot"`
	Phase   fw.Phase    `json:"phase"`
	Runs    bool        `json:"runs"`
	Name    string      `json:"name,omitempty"`
	Version uint64      `json:"version,omitempty"`
	Why     string      `json:"why,omitempty"`
	Starts  int         `json:"starts,omitempty"` // of a trial
	Stops   int         `json:"stops,omitempty"`  // before it had proved itself
	Bundle  *bundleInfo `json:"bundle,omitempty"`
}

func slotReports(s fw.State) (all []slotReport) {
	for _, named := range []struct {
		name string
		fw.Slot
	}{{"a", s.A}, {"b", s.B}} {
		r := slotReport{Slot: named.name, Phase: named.Phase, Runs: named.name == s.Active, Name: named.Name, Version: named.Version, Why: named.Why}
		if named.name == s.Trial {
			r.Starts, r.Stops = s.Starts, s.Stops
		}
		all = append(all, r)
	}
	return all
}

func printSlots(w io.Writer, all []slotReport) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	runs := "what the binary brings runs"
	for _, s := range all {
		if s.Runs {
			runs = fmt.Sprintf("slot %s runs: %s version %d", s.Slot, s.Name, s.Version)
		}
	}
	fmt.Fprintln(t, runs)
	for _, s := range all {
		if s.Phase == fw.PhaseEmpty {
			fmt.Fprintf(t, "slot %s\tempty\n", s.Slot)
			continue
		}
		fmt.Fprintf(t, "slot %s\t%s\t%s version %d", s.Slot, s.Phase, s.Name, s.Version)
		switch {
		case s.Why != "":
			fmt.Fprintf(t, "\t%s", printable(s.Why))
		case s.Phase == fw.PhaseTrying:
			fmt.Fprintf(t, "\tstarted %d of %d times, told to stop %d of %d", s.Starts, fw.MaxStarts, s.Stops, fw.MaxStops)
		case s.Phase == fw.PhaseReady:
			fmt.Fprint(t, "\tthe next start of \"edged run\", or its next reload, tries it")
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range all {
		if s.Bundle != nil {
			fmt.Fprintf(w, "\nslot %s: ", s.Slot)
			if err := s.Bundle.print(w); err != nil {
				return err
			}
		}
	}
	return nil
}
