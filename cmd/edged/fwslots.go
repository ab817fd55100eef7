package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/visualrwkv/edged/fw"
)

const (
	fwStatusAbout   = "Tells what runs, what is being tried, and what each slot holds."
	fwListAbout     = "Lists the bundles that are installed, with their files."
	fwCommitAbout   = "Keeps what is being tried, without waiting until it has proved itself."
	fwRollbackAbout = `Gives up what is being tried. When nothing is, the next start of "edged run" goes back to what
ran before, or to what the binary brings.`
)

// slotReport is what is told of a slot.
type slotReport struct {
	Slot    string      `json:"slot"`
	Phase   fw.Phase    `json:"phase"`
	Runs    bool        `json:"runs"`
	Name    string      `json:"name,omitempty"`
	Version uint64      `json:"version,omitempty"`
	Why     string      `json:"why,omitempty"`
	Starts  int         `json:"starts,omitempty"` // of a trial
	Bundle  *bundleInfo `json:"bundle,omitempty"`
}

func slotReports(s fw.State) []slotReport {
	var all []slotReport
	for name, slot := range map[string]fw.Slot{"a": s.A, "b": s.B} {
		r := slotReport{Slot: name, Phase: slot.Phase, Runs: name == s.Active, Name: slot.Name, Version: slot.Version, Why: slot.Why}
		if name == s.Trial {
			r.Starts = s.Starts
		}
		if all = append(all, r); len(all) == 2 && all[0].Slot > all[1].Slot {
			all[0], all[1] = all[1], all[0]
		}
	}
	return all
}

// fwStatusMain is "edged fw status".
func fwStatusMain(args []string, stdout, stderr io.Writer) int {
	return fwSlots("status", fwStatusAbout, args, stdout, stderr, nil)
}

// fwListMain is "edged fw list".
func fwListMain(args []string, stdout, stderr io.Writer) int {
	return fwSlots("list", fwListAbout, args, stdout, stderr, func(s *fw.Store, all []slotReport) error {
		for i := range all {
			if m := s.Manifest(all[i].Slot); m != nil {
				b := describeBundle(m)
				all[i].Bundle = &b
			}
		}
		return nil
	})
}

// fwCommitMain is "edged fw commit".
func fwCommitMain(args []string, stdout, stderr io.Writer) int {
	return fwSlots("commit", fwCommitAbout, args, stdout, stderr, func(s *fw.Store, _ []slotReport) error { return s.Commit() })
}

// fwRollbackMain is "edged fw rollback".
func fwRollbackMain(args []string, stdout, stderr io.Writer) int {
	return fwSlots("rollback", fwRollbackAbout, args, stdout, stderr, func(s *fw.Store, _ []slotReport) error { return s.Rollback("someone asked for it") })
}

// fwSlots does something to the slots and tells how they are then.
func fwSlots(name, about string, args []string, stdout, stderr io.Writer, do func(s *fw.Store, all []slotReport) error) int {
	flags := newFlags("fw "+name, "[-state DIR] [-json]", about)
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
		err = becomeOwner(state)
	}
	if err == nil {
		if !hasSlots(state) && name != "commit" && name != "rollback" {
			all = slotReports(fw.State{}) // nothing is made for who only looks
		} else {
			err = withStore(state, func(s *fw.Store, damaged error) error {
				if damaged != nil {
					return damaged
				}
				all = slotReports(s.State())
				if do == nil {
					return nil
				}
				err := do(s, all)
				if name == "commit" || name == "rollback" {
					all = slotReports(s.State())
				}
				return err
			})
		}
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
	return exitOK
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
			fmt.Fprintf(t, "\tstarted %d of %d times", s.Starts, fw.MaxStarts)
		case s.Phase == fw.PhaseReady:
			fmt.Fprint(t, "\tthe next start of \"edged run\" tries it")
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
