package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/internal/crash"
	"github.com/visualrwkv/edged/internal/disk"
)

const doctorAbout = `Collects what a bug report needs in one archive (.tar.gz), with a daemon running or
without. Passwords of cameras are taken out. There are no pictures in it, and no
captions unless -captions is given. It lists what it holds; read it before you send it.`

// Bounds on the archive.
const (
	sectionPatience = 15 * time.Second
	sectionSize     = 1 << 20 // bytes
)

type doctorOptions struct {
	out, config, state, socket string
	captions                   bool
}

// doctorMain is "edged doctor".
func doctorMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("doctor", "-o FILE [flags]", doctorAbout)
	var o doctorOptions
	fs.StringVar(&o.out, "o", "", "archive to write, a `file` such as report.tar.gz")
	fs.StringVar(&o.config, "config", "/etc/edged/edged.yaml", configHelp)
	fs.StringVar(&o.state, "state", "", stateHelp)
	fs.StringVar(&o.socket, "socket", "", socketHelp)
	fs.BoolVar(&o.captions, "captions", false, "keep captions")
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	switch {
	case fs.NArg() > 0:
		return wrongUse(fs, stderr, fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	case o.out == "":
		return wrongUse(fs, stderr, "no -o")
	}
	reports := collect(o.sections(), sectionPatience, o.captions)
	archive, err := pack(reports)
	if err == nil {
		err = disk.Replace(disk.OS, o.out, archive)
	}
	if err != nil {
		fmt.Fprintln(stderr, "edged doctor:", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s, %d KiB, holds\n%s", o.out, (len(archive)+1023)/1024, contents(reports))
	return exitOK
}

// section is one file of the archive.
type section struct {
	name, about string
	write       func(w io.Writer) error
}

// report is a section that was written.
type report struct {
	section
	text []byte
}

// sections are what to look into. The configuration says where state and socket are,
// where no flag does and it can be read.
func (o doctorOptions) sections() []section {
	f, err := config.Load(o.config)
	if err != nil {
		f = &config.File{}
	}
	state, err := statePath(o.state, f.StateDir)
	if err != nil {
		state = ""
	}
	if o.socket == "" {
		o.socket = f.Socket.Path
	}
	socket := socketPath(o.socket)
	all := []section{
		{"version.txt", "this program and what it was built of", writeVersion},
		{"config.yaml", "the configuration, without passwords", func(w io.Writer) error { return copyFile(w, o.config) }},
		{"check.txt", "what is wrong with the configuration", inProcess(checkMain, "-config", o.config)},
		{"status.json", "the status of the daemon at " + socket, func(w io.Writer) error { return o.writeStatus(w, socket) }},
		{"process.txt", "its limits and memory, as the kernel has them", func(w io.Writer) error { return writeProcess(w, socket) }},
		{"cams.json", "cameras that the kernel knows", inProcess(camsMain, "-json")},
		{"model.json", "the model, what it needs, and whether kernels compute rightly here", func(w io.Writer) error { return writeModel(w, f) }},
		{"machine.txt", "kernel, CPU, memory, temperature", writeMachine},
		{"state.txt", "the files of " + state + " and the space around them", func(w io.Writer) error { return writeFolder(w, state) }},
		{"events.jsonl", "what happened to scenes and cameras in two days, as edged kept it", inProcess(logMain, "-socket", socket, "-state", state, "-since", "2d", "-n", "1000", "-json")},
		{"log.txt", "the last lines of the service's log", writeLog},
	}
	old, err := crash.Reports(crashFolder(state))
	if err != nil {
		all = append(all, section{"crash/error.txt", "why there are no crash reports", func(io.Writer) error { return err }})
	}
	for _, r := range old {
		all = append(all, section{"crash/" + filepath.Base(r.File), r.Cause, func(w io.Writer) error { return copyFile(w, r.File) }})
	}
	return all
}

// crashFolder is where crash reports are kept.
func crashFolder(state string) string { return filepath.Join(state, "crash") }

// collect writes the sections, one after the other. One that fails says so, and one that
// hangs, in a driver for example, is left alone.
func collect(all []section, patience time.Duration, captions bool) []report {
	var reports []report
	for _, s := range all {
		var b boundedBuffer
		done := make(chan error, 1)
		go func() { done <- s.write(&b) }()
		timer := time.NewTimer(patience)
		var err error
		select {
		case err = <-done:
		case <-timer.C:
			err = fmt.Errorf("this took longer than %v and was left alone", patience)
		}
		timer.Stop()
		text := b.take()
		if err != nil {
			text = fmt.Appendf(text, "%v\n", err)
		}
		s.about = redact(s.about)
		reports = append(reports, report{s, []byte(redactText(string(text), captions))})
	}
	return reports
}

// boundedBuffer keeps the first bytes that are written to it, until they are taken.
type boundedBuffer struct {
	mu    sync.Mutex
	b     []byte
	taken bool
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken {
		return 0, errors.New("nobody waits for this any more")
	}
	b.b = append(b.b, p[:min(len(p), sectionSize-len(b.b))]...)
	return len(p), nil
}

func (b *boundedBuffer) take() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = true
	if len(b.b) == sectionSize {
		return append(b.b, "\n(cut here)\n"...)
	}
	return b.b
}

// inProcess is what another subcommand says.
func inProcess(command func(args []string, stdout, stderr io.Writer) int, args ...string) func(io.Writer) error {
	return func(w io.Writer) error {
		if code := command(args, w, w); code != exitOK {
			return fmt.Errorf("(exit code %d)", code)
		}
		return nil
	}
}

// contents lists the files and what they are.
func contents(reports []report) string {
	var b strings.Builder
	for _, r := range reports {
		fmt.Fprintf(&b, "  %-22s %7d bytes  %s\n", r.name, len(r.text), r.about)
	}
	return b.String()
}

// pack makes the archive. Its first file lists the others.
func pack(reports []report) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	list := report{section{name: "CONTENTS.txt"}, []byte("edged doctor, " + time.Now().UTC().Format(time.RFC3339) + "\n\n" + contents(reports))}
	for _, r := range append([]report{list}, reports...) {
		h := &tar.Header{Name: "edged-doctor/" + r.name, Size: int64(len(r.text)), Mode: 0o600, ModTime: time.Now()}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(r.text); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// copyFile copies what a section may hold of a file.
func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, io.LimitReader(f, sectionSize))
	return err
}
