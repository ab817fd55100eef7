package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/visualrwkv/edged/fw"
)

const fwAbout = `Makes, checks and installs bundles: a model, plugins and defaults for devices in the field, in
one file under one signature (docs/bundle.md).`

// fwCommands are what "edged fw" can do.
var fwCommands = []command{
	{"build", "put files into a bundle", simple(fwBuildMain)},
	{"sign", "sign a bundle", simple(fwSignMain)},
	{"verify", "check a bundle", fwVerifyMain},
	{"install", "put a bundle where the next start tries it", fwInstallMain},
	{"status", "tell what runs and what is tried", simple(fwStatusMain)},
	{"commit", "keep what is tried", simple(fwCommitMain)},
	{"rollback", "go back to what ran before", simple(fwRollbackMain)},
	{"list", "list what is installed", simple(fwListMain)},
}

// fwMain is "edged fw".
func fwMain(args []string, std stdio) int {
	if len(args) > 0 {
		for _, c := range fwCommands {
			if c.name == args[0] {
				return c.run(args[1:], std)
			}
		}
	}
	w, code := std.err, exitUsage
	switch {
	case len(args) == 0:
	case args[0] == "-h", args[0] == "-help", args[0] == "--help":
		w, code = std.out, exitOK
	default:
		fmt.Fprintf(w, "edged fw: no command %q\n\n", args[0])
	}
	fmt.Fprintf(w, "usage: edged fw COMMAND [flags]\n\n%s\n\n", fwAbout)
	for _, c := range fwCommands {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.about)
	}
	fmt.Fprint(w, "\n\"edged fw COMMAND -h\" explains one.\n")
	return code
}

// bundleInfo is what is told of a bundle.
type bundleInfo struct {
	Name        string     `json:"name"`
	Version     uint64     `json:"version"`
	Description string     `json:"description,omitempty"`
	MinEdged    string     `json:"min_edged,omitempty"`
	Keys        []string   `json:"keys,omitempty"` // ids of those that it brings
	Key         string     `json:"key,omitempty"`  // id of the one that signed it
	Comment     string     `json:"comment,omitempty"`
	Bytes       int64      `json:"bytes"`
	Files       []fileInfo `json:"files"`
}

type fileInfo struct {
	Name        string    `json:"name"`
	Role        fw.Role   `json:"role"`
	Bytes       int64     `json:"bytes"`
	SHA256      string    `json:"sha256"`
	Model       *fw.Model `json:"model,omitempty"`
	Permissions []string  `json:"permissions,omitempty"`
}

func describeBundle(m *fw.Manifest) bundleInfo {
	b := bundleInfo{Name: m.Name, Version: m.Version, Description: m.Description, MinEdged: m.MinEdged, Bytes: m.Bytes()}
	for _, line := range m.Keys {
		if keys, err := fw.ParsePublicKeys([]byte(line)); err == nil {
			b.Keys = append(b.Keys, keys[0].ID())
		}
	}
	for _, f := range m.Files {
		b.Files = append(b.Files, fileInfo{f.Name, f.Role, f.Size, f.Sum.String(), f.Model, f.Permissions})
	}
	return b
}

func (b bundleInfo) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s version %d, %d bytes\n", b.Name, b.Version, b.Bytes)
	if b.Description != "" {
		fmt.Fprintln(t, printable(b.Description))
	}
	if b.Key != "" {
		fmt.Fprintf(t, "signed with key %s", b.Key)
		if b.Comment != "" {
			fmt.Fprintf(t, ": %s", b.Comment)
		}
		fmt.Fprintln(t)
	}
	if b.MinEdged != "" {
		fmt.Fprintf(t, "for edged %s or later\n", b.MinEdged)
	}
	if len(b.Keys) > 0 {
		fmt.Fprintf(t, "brings the keys that will be trusted: %s\n", strings.Join(b.Keys, ", "))
	}
	for _, f := range b.Files {
		fmt.Fprintf(t, "  %s\t%s\t%d\t", f.Name, f.Role, f.Bytes)
		switch {
		case f.Model != nil:
			fmt.Fprintf(t, "%s, %s", printable(f.Model.Variant), printable(f.Model.Type))
		case f.Role == fw.RolePlugin && len(f.Permissions) == 0:
			fmt.Fprint(t, "may do nothing")
		case f.Role == fw.RolePlugin:
			fmt.Fprintf(t, "may: %s", strings.Join(f.Permissions, ", "))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
