package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/wire"
)

// unpack reads an archive of "edged doctor".
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read it: %v, %v", st.Mode(), err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(h.Name, "edged-doctor/")
		if !ok {
			t.Errorf("%s lies elsewhere", h.Name)
		}
		files[name] = string(text)
	}
}

// TestDoctorAlone: without a daemon, with a configuration that holds passwords and is
// wrong, and with a crash behind it.
func TestDoctorAlone(t *testing.T) {
	dir := t.TempDir()
	state, out, conf := filepath.Join(dir, "state"), filepath.Join(dir, "report.tar.gz"), filepath.Join(dir, "c.yaml")
	if err := os.MkdirAll(crashFolder(state), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		conf: "scenes: [{name: a, views: [{name: v, source: 'rtsp://me:hunter2@cam/live?key=hunter3'}]}]\npassword: hunter4\n",
		filepath.Join(crashFolder(state), "crash-000007.txt"): "edged\n--\nnote: rtsp://me:hunter5@cam\npanic: lost rtsp://me:hunter6@cam\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := runCommand(t, "doctor", "-o", out, "-config", conf, "-state", state, "-socket", testSocket(t))
	if code != exitOK || stderr != "" {
		t.Fatalf("code %d, %q", code, stderr)
	}
	files := unpack(t, out)
	for name, want := range map[string]string{
		"CONTENTS.txt":           "crash/crash-000007.txt",
		"version.txt":            "edged ",
		"config.yaml":            "rtsp://***@cam/live?***",
		"check.txt":              `unknown key "password"`,
		"status.json":            "no daemon",
		"process.txt":            "no daemon",
		"cams.json":              `"cameras"`,
		"model.json":             `"given_up"`,
		"machine.txt":            "/proc/meminfo\nMemTotal",
		"state.txt":              "bytes free",
		"crash/crash-000007.txt": "panic: lost rtsp://***@cam",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s lacks %q:\n%.2000s", name, want, files[name])
		}
	}
	for name, text := range files {
		if strings.Contains(text, "hunter") {
			t.Errorf("%s tells a password:\n%s", name, text)
		}
		if name != "CONTENTS.txt" && !strings.Contains(stdout, name) {
			t.Errorf("%s is not listed:\n%s", name, stdout)
		}
	}
	if strings.Contains(stdout, "hunter") {
		t.Errorf("the list tells a password:\n%s", stdout)
	}

	for args, want := range map[string]int{"": exitUsage, "-o " + out + " x": exitUsage, "-o " + dir + "/none/x": exitFailed} {
		if code, _, _ := runCommand(t, append([]string{"doctor"}, strings.Fields(args)...)...); code != want {
			t.Errorf("%q: code %d, want %d", args, code, want)
		}
	}
}

// TestDoctorOfDaemon: with a daemon, and captions only if they are asked for.
func TestDoctorOfDaemon(t *testing.T) {
	r, c := startRun(t, "../../docs/example-sim.yaml")
	var caption string
	for e, err := range c.Watch(t.Context(), new(wire.Watch)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption && e.Text != "" {
			caption = e.Text
			break
		}
	}
	out := filepath.Join(t.TempDir(), "report.tar.gz")
	for _, captions := range []bool{false, true} {
		code, _, stderr := runCommand(t, "doctor", "-o", out, "-config", r.config, "-state", r.state, "-socket", r.socket, fmt.Sprintf("-captions=%v", captions))
		if code != exitOK {
			t.Fatalf("code %d, %q", code, stderr)
		}
		files := unpack(t, out)
		if !strings.Contains(files["status.json"], `"hall"`) {
			t.Errorf("status.json: %s", files["status.json"])
		}
		if events := files["events.jsonl"]; !strings.Contains(events, `"type":"state"`) || captions != strings.Contains(events, `"type":"caption"`) {
			t.Errorf("captions %v, events.jsonl: %s", captions, events)
		}
		if !strings.Contains(files["process.txt"], fmt.Sprintf("process %d,", os.Getpid())) {
			t.Errorf("process.txt: %s", files["process.txt"])
		}
		var told bool
		for _, text := range files {
			told = told || strings.Contains(text, caption) // the whole: the configuration speaks of "the room" too
		}
		// Another caption may have been written since.
		if told && !captions {
			t.Error("captions are told that nobody asked for")
		}
		if captions == strings.Contains(files["status.json"], `"(a caption)"`) {
			t.Errorf("captions %v, status.json: %s", captions, files["status.json"])
		}
	}
	r.stop(t)
	// What happened is told without the daemon, too.
	if code, _, stderr := runCommand(t, "doctor", "-o", out, "-config", r.config, "-state", r.state, "-socket", r.socket); code != exitOK {
		t.Fatalf("code %d, %q", code, stderr)
	}
	if events := unpack(t, out)["events.jsonl"]; !strings.Contains(events, "no edged answers") || !strings.Contains(events, `"state":"stopped"`) ||
		!strings.Contains(events, "(a caption)") || strings.Contains(events, `"type":"caption"`) {
		t.Errorf("events.jsonl of one that has ended: %s", events)
	}
}

// TestDoctorSections: those that hang, fail or have no end.
func TestDoctorSections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		r := collect([]section{
			{"hangs", "", func(w io.Writer) error {
				fmt.Fprintln(w, "before")
				<-release
				_, err := fmt.Fprintln(w, "after")
				return err
			}},
			{"fails", "", func(io.Writer) error { return errors.New("no such device") }},
			{"endless", "", func(w io.Writer) error {
				for range 1 << 12 {
					if _, err := w.Write(make([]byte, 1<<10)); err != nil {
						return err
					}
				}
				return nil
			}},
		}, time.Minute, false)
		if got := string(r[0].text); got != "before\nthis took longer than 1m0s and was left alone\n" {
			t.Errorf("hangs: %q", got)
		}
		if got := string(r[1].text); got != "no such device\n" {
			t.Errorf("fails: %q", got)
		}
		if n := len(r[2].text); n < sectionSize || n > sectionSize+100 {
			t.Errorf("endless: %d bytes", n)
		}
	})
}

func TestRedactText(t *testing.T) {
	for text, want := range map[string]string{
		"source: rtsp://u:p@h/x\nname: a\n":              "source: rtsp://***@h/x\nname: a\n",
		`{"Password": "a b c"}`:                          `{"Password": ***`,
		"api_key = x y\nauthorization: Basic abc":        "api_key = ***\nauthorization: ***",
		"passage: open":                                  "passage: open",
		"x http://a:b@c d http://e:f@g/?t=1 z\n\nlast":   "x http://***@g/?***\n\nlast",
		`2026 edged[1]: {"type":"caption","text":"red"}`: "(a caption)",
	} {
		if got := redactText(text, false); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := redactText(`{"type":"caption"}`, true); got != `{"type":"caption"}` {
		t.Errorf("with captions: %q", got)
	}
}
