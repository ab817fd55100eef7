package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/weights"
)

const fwBuildAbout = `Puts files into a bundle under the names that they have. Without -key it is not signed;
sign it with "edged fw sign". The same files and flags make the same bundle.`

// bundleFiles is what a bundle is built of.
type bundleFiles struct {
	manifest        fw.Manifest
	model, defaults string
	plugins         []string // FILE, or FILE=PERMISSION,...
	key, out        string
}

// fwBuildMain is "edged fw build".
func fwBuildMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("fw build", "-name NAME -version N [-model FILE] [-plugin FILE[=PERMISSION,...]]... [-defaults FILE] -o FILE [flags]", fwBuildAbout)
	var b bundleFiles
	fs.StringVar(&b.manifest.Name, "name", "", "`name` of what is delivered, the same for all versions")
	fs.Uint64Var(&b.manifest.Version, "version", 0, "`number` of this version, higher than those before")
	fs.StringVar(&b.manifest.Description, "description", "", "a `sentence` for people")
	fs.StringVar(&b.manifest.MinEdged, "min-edged", "", "oldest `version` of edged that can use it, such as 1.2.3")
	fs.StringVar(&b.model, "model", "", "model `file` (GGUF)")
	fs.StringVar(&b.defaults, "defaults", "", "configuration `file` for what a device's own does not say")
	fs.Func("plugin", "WASM plugin `file`, and after a = what it may: "+strings.Join(fw.Permissions, ", ")+"; may be repeated", func(s string) error {
		b.plugins = append(b.plugins, s)
		return nil
	})
	fs.Func("trust", "`file` of the public keys that devices trust from this version on", func(path string) error {
		keys, err := readPublicKeys(path)
		for _, k := range keys {
			b.manifest.Keys = append(b.manifest.Keys, k.String())
		}
		return err
	})
	fs.StringVar(&b.key, "key", "", secretKeyHelp)
	fs.StringVar(&b.out, "o", "", "`file` to write; replaced when all is done")
	asJSON := fs.Bool("json", false, "print one JSON object")
	quiet := fs.Bool("quiet", false, "no progress")
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	switch {
	case fs.NArg() > 0:
		return wrongUse(fs, stderr, fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	case b.out == "":
		return wrongUse(fs, stderr, "no -o")
	case !fw.ValidName(b.manifest.Name) || b.manifest.Version == 0:
		return wrongUse(fs, stderr, "want -name, of a-z, 0-9, '.', '_' and '-', and -version, 1 or more")
	}
	bar := newProgress(stderr, *quiet)
	err := b.build(bar)
	bar.end()
	if err != nil {
		fmt.Fprintln(stderr, "edged fw build:", err)
		if _, ok := errors.AsType[badInput](err); ok {
			return exitInput
		}
		return exitFailed
	}
	if b.key == "" && !*quiet {
		fmt.Fprintf(stderr, "%s is not signed, and no device takes it: \"edged fw sign\" signs it\n", b.out)
	}
	return printBundle(fs.Name(), describeBundle(&b.manifest), *asJSON, stdout, stderr)
}

// build writes the bundle. Everything that can be wrong with its parts is found first.
func (b *bundleFiles) build(bar *progress) error {
	var key fw.SecretKey
	if b.key != "" {
		var err error
		if key, err = readSecretKey(b.key); err != nil {
			return badInput{err}
		}
	}
	parts, err := b.parts()
	if err != nil {
		return badInput{err}
	}
	var total, done int64
	w := fw.Builder{Manifest: &b.manifest, Progress: func(n int64) {
		done += n
		bar.show(done, 2*total)
	}}
	defer func() {
		for _, p := range parts {
			p.Data.(*os.File).Close()
		}
	}()
	for i := range parts {
		f, err := os.Open(parts[i].path)
		if err != nil {
			return badInput{err}
		}
		parts[i].Data = f
		if info, err := f.Stat(); err == nil {
			total += info.Size()
		}
	}
	for _, p := range parts {
		if err := w.Add(p.Payload); err != nil {
			return badInput{err}
		}
	}
	raw, err := w.Raw()
	if err != nil {
		return badInput{err}
	}
	var sig []byte
	if b.key != "" {
		sig = key.Sign(raw, signedComment(&b.manifest))
	}
	return weights.WriteFile(b.out, func(out io.Writer) error { return w.Write(out, sig) })
}

// part is a payload and where it is.
type part struct {
	fw.Payload
	path string
}

func (b *bundleFiles) parts() (parts []part, err error) {
	add := func(path string, p fw.Payload) error {
		p.Name = filepath.Base(path)
		if !fw.ValidName(p.Name) {
			return fmt.Errorf("%s: its name cannot be that of a file in a bundle: 1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first", path)
		}
		parts = append(parts, part{p, path})
		return nil
	}
	if b.model != "" {
		about, err := bundleModel(b.model)
		if err == nil {
			err = add(b.model, fw.Payload{Role: fw.RoleModel, Model: about})
		}
		if err != nil {
			return nil, err
		}
	}
	for _, s := range b.plugins {
		path, list, _ := strings.Cut(s, "=")
		if err := checkModule(path); err != nil {
			return nil, err
		}
		var may []string
		if list != "" {
			may = strings.Split(list, ",")
		}
		if err := add(path, fw.Payload{Role: fw.RolePlugin, Permissions: may}); err != nil {
			return nil, err
		}
	}
	if b.defaults != "" {
		d, err := config.LoadDefaults(b.defaults)
		if err != nil {
			return nil, err
		}
		for _, g := range d.Plugins {
			if !slices.ContainsFunc(parts, func(p part) bool { return p.Role == fw.RolePlugin && p.Name == g.Bundle }) {
				return nil, fmt.Errorf("%s: plugin %s is not in the bundle", b.defaults, g.Bundle)
			}
		}
		if err := add(b.defaults, fw.Payload{Role: fw.RoleDefaults}); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// bundleModel opens a model, so that no bundle has one that does not run, and says what
// it is.
func bundleModel(path string) (*fw.Model, error) {
	m, err := openModel(path, nil)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	info := m.Info()
	return &fw.Model{Variant: info.Variant, Type: info.Type, Parameters: info.Parameters, Fingerprint: info.Hash}, nil
}

func signedComment(m *fw.Manifest) string { return fmt.Sprintf("%s version %d", m.Name, m.Version) }
