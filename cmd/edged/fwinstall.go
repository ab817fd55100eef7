package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/fw"
)

const fwInstallAbout = `Checks a bundle and puts it into the slot that does not run; the next start of "edged run", or its next
reload, tries it (docs/bundle.md). BUNDLE is a file, - for the standard input, or the address of a file on a web server, of which
the rest is asked for when a connection breaks. What was interrupted goes on where it was when it is begun again.
What runs is not touched.`

// defaultTrust is where the keys are that may sign what is installed.
const defaultTrust = "/etc/edged/fw.pub"

// goesOn is what to do after an installation that came to no end.
const goesOn = "what has come is kept, and the same command goes on from there"

// fwInstallMain is "edged fw install".
func fwInstallMain(args []string, std stdio) int {
	flags := newFlags("fw install", "BUNDLE [-trust FILE] [-downgrade] [-rename] [flags]", fwInstallAbout)
	trust := flags.String("trust", "", trustHelp+" (default: those that the last bundle brought, else "+defaultTrust+")")
	stateFlag := flags.String("state", "", stateHelp)
	o := fw.InstallOptions{Edged: version()}
	flags.BoolVar(&o.Downgrade, "downgrade", false, "install a version that is not higher than one that has run here, or was given up")
	flags.BoolVar(&o.Rename, "rename", false, "install a bundle of another name than what runs")
	rate := flags.Int64("rate", 0, "from a web server, `kilobytes` a second at most; 0 is as they come")
	asJSON := flags.Bool("json", false, "print one JSON object")
	quiet := flags.Bool("quiet", false, "no progress")
	files, code, ok := parseMixed(flags, args, std.out, std.err)
	switch {
	case !ok:
		return code
	case len(files) != 1 || *rate < 0:
		return wrongUse(flags, std.err, "want one bundle, and no negative rate")
	}
	fail := func(code int, err error) int {
		fmt.Fprintln(std.err, "edged fw install:", err)
		return code
	}
	state, err := statePath(*stateFlag, "")
	if err != nil {
		return fail(exitFailed, err)
	}
	// Read with the rights of whoever asks.
	keys, noKeys := readPublicKeys(cmp.Or(*trust, defaultTrust))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second one ends it wherever it is
	r, from, err := openDelivery(ctx, files[0], *rate, std)
	if err != nil {
		return fail(exitInput, err)
	}
	defer r.Close()
	if err := becomeOwner(state); err != nil {
		return fail(exitFailed, err)
	}
	bar := newProgress(std.err, *quiet)
	o.Progress = bar.show
	var info bundleInfo
	var bad error
	err = withStore(state, func(s *fw.Store, damaged error) error {
		if damaged != nil {
			return damaged
		}
		if *trust == "" && len(s.Keys()) > 0 {
			keys, noKeys = s.Keys(), nil
		}
		if noKeys != nil {
			bad = fmt.Errorf("the keys that may sign: %w", noKeys)
			if errors.Is(noKeys, fs.ErrNotExist) {
				bad = fmt.Errorf("%w; put the public key of whoever signs your bundles there, or name its file with -trust", bad)
			}
			return bad
		}
		b, err := fw.Open(r, keys)
		if err != nil {
			bad = fmt.Errorf("%s: %w", from, err)
			return bad
		}
		info = describeBundle(b.Manifest)
		info.Key, info.Comment = b.By.ID(), b.Comment
		if err = s.Install(b, &o); err == nil {
			err = admit(s, state)
		}
		return err
	})
	bar.end()
	switch {
	case err != nil && ctx.Err() != nil:
		return fail(exitFailed, errors.New("interrupted; "+goesOn))
	case bad != nil:
		return fail(exitInput, bad)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail(exitInput, fmt.Errorf("%s: %w; %s", from, err, goesOn))
	case err != nil:
		return fail(exitFailed, err)
	}
	if code := printBundle(flags.Name(), info, *asJSON, std.out, std.err); code != exitOK {
		return code
	}
	if !*asJSON {
		fmt.Fprintln(std.out, "installed; the next start of \"edged run\", or its next reload, tries it")
	}
	return exitOK
}

// admit gives up what was just installed when it says what cannot be used.
func admit(s *fw.Store, state string) error {
	slot := s.State().Trial
	m := s.Manifest(slot)
	if m == nil {
		return nil // it will be found out when it is tried
	}
	for _, f := range m.Find(fw.RoleDefaults) {
		if _, err := config.LoadDefaults(filepath.Join(slotsPath(state), slot, f.Name)); err != nil {
			err = fmt.Errorf("its defaults: %w", err)
			return errors.Join(err, s.Rollback(err.Error()))
		}
	}
	return nil
}

// openDelivery opens a bundle where it is, and says how to call that.
func openDelivery(ctx context.Context, from string, rate int64, std stdio) (io.ReadCloser, string, error) {
	if from == "-" {
		return until(ctx, std.in), "standard input", nil
	}
	if !strings.Contains(from, "://") {
		f, err := os.Open(from)
		if err != nil {
			return nil, "", err
		}
		return &interruptible{ctx, f}, from, nil
	}
	d, err := fw.NewDownload(ctx, from)
	if err != nil {
		return nil, "", err
	}
	d.Rate = 1000 * rate
	d.Retry = func(err error, pause time.Duration) {
		fmt.Fprintf(std.err, "edged fw install: %s: %v; the rest is asked for in %v\n", d, err, pause)
	}
	return d, d.String(), nil
}

// interruptible is a file that is read until ctx ends.
type interruptible struct {
	ctx context.Context
	f   *os.File
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.f.Read(p)
}

func (i *interruptible) Seek(n int64, whence int) (int64, error) { return i.f.Seek(n, whence) }
func (i *interruptible) Close() error                            { return i.f.Close() }

// until reads from r until ctx ends, though r may not come back from a Read: whoever writes
// to a pipe may have nothing to say.
func until(ctx context.Context, r io.Reader) io.ReadCloser {
	p, w := io.Pipe()
	context.AfterFunc(ctx, func() { p.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(w, r)
		w.CloseWithError(err)
	}()
	return p
}
