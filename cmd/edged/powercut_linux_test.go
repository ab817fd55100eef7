package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/edge/journal"
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/vlm"
)

// filmCuts is how many moments there are besides, while the film is watched.
const filmCuts = 12

// TestPowerCuts looks at the disks that a power cut may have left at moments while
// TestVMRun ran. What the daemon said is on the disk must be there: a snapshot no older
// than the newest that it had, whole and one that the model takes; each event, the same on
// all disks; and numbers of events go on after those that were given.
//
// From the disks of moments at which a film was watched it goes on.
func TestPowerCuts(t *testing.T) {
	l := openDiskLog(t)
	m, err := openModel("", &vlm.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	stream, err := m.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	filmed := slices.IndexFunc(l.writes, func(w diskWrite) bool {
		var c claim
		return claimOf(t, w, &c) && c.Film > 0
	})
	if filmed < 0 {
		t.Fatal("nobody watched the film")
	}
	for range filmCuts {
		l.cuts = append(l.cuts, powerCut{filmed + 1 + l.rng.IntN(len(l.writes)-filmed), []float64{0, 0.5, 1}[l.rng.IntN(3)], true})
	}
	check := powerCheck{model: m, stream: stream, events: map[uint64]string{}}
	claims := 0
	var now claim
	var lost []float64 // milliseconds
	l.found(t, func(w diskWrite) {
		var c claim
		if claimOf(t, w, &c) {
			now = c
			lost = append(lost, c.Lost...)
			claims++
		}
	}, func(c powerCut, dir string) error {
		if err := check.files(dir, now); err != nil {
			return err
		}
		if c.film {
			check.film(t, filepath.Join(dir, filepath.Base(vmFilm)))
		}
		return nil
	})
	if slices.Sort(lost); len(lost) == 0 {
		t.Fatal("no claim says how much a power cut would lose")
	}
	t.Logf("a power cut would have lost 2 s at most at %d of %d moments, and %.1f s at most", sort.SearchFloat64s(lost, 2000), len(lost), lost[len(lost)-1]/1000)
	t.Logf("the film went on from %d disks, with %d captions", check.films, check.lines)
	t.Logf("edged counted %d KiB; %d claims; snapshots were found on %d, events on %d", now.Written>>10, claims, check.snapshots, check.logs)
	// The interval, 2 s, but for what the disk takes longer than before, which TestSlowDisk of
	// edge/memory holds to the second: here a busy host may hold it up for as long as it likes.
	if within := sort.SearchFloat64s(lost, 2000); within < len(lost)/2 {
		t.Errorf("only %d of %d within the interval", within, len(lost))
	}
	if check.films < filmCuts/2 || check.lines < check.films {
		t.Error("the film hardly went on")
	}
	if claims < 10 || len(now.Snapshots) != 2 || now.Logged == 0 {
		t.Errorf("hardly anything was claimed: %d times, last %+v", claims, now)
	}
}

// diskLog is the log of a disk, and moments at which the power may have failed.
type diskLog struct {
	path   string
	writes []diskWrite
	base   *diskImage // before all of them
	rng    *rand.Rand
	cuts   []powerCut
}

// openDiskLog reads the log that EDGED_WRITE_LOG names and takes EDGED_CUTS moments.
func openDiskLog(t *testing.T) *diskLog {
	t.Helper()
	l := &diskLog{path: os.Getenv("EDGED_WRITE_LOG"), rng: rand.New(rand.NewPCG(7, 1))}
	if l.path == "" {
		t.Skip("needs the log of a disk from make test-vm")
	}
	var err error
	if l.writes, err = readWriteLog(l.path); err != nil {
		t.Fatal(err)
	}
	if l.base, err = readDiskImage(l.path + ".base"); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(os.Getenv("EDGED_CUTS"))
	if err != nil || n < 1 {
		t.Fatalf("EDGED_CUTS: %v", err)
	}
	// A third evenly, two thirds at random; one at the end.
	l.cuts = make([]powerCut, n)
	for i := range l.cuts {
		l.cuts[i] = powerCut{entries: l.rng.IntN(len(l.writes) + 1), loss: []float64{0, 0.1, 0.5, 0.9, 1}[l.rng.IntN(5)]}
		if i%3 == 0 {
			l.cuts[i].entries = i * len(l.writes) / n
		}
	}
	l.cuts[0] = powerCut{entries: len(l.writes), loss: 0.5}
	return l
}

// found calls check with the files of the disk that each power cut may have left, after hear was told of all
// that was written before. Of what was not flushed, none, some or all is lost. The file system's own journal is replayed, as
// mounting does.
//
// EDGED_CUT_DISK is where the disk of the last moment is left for the machine to start from.
func (l *diskLog) found(t *testing.T, hear func(diskWrite), check func(c powerCut, dir string) error) {
	t.Helper()
	slices.SortFunc(l.cuts, func(a, b powerCut) int { return a.entries - b.entries })
	flushes, written, at := 0, 0, 0
	disks(l.base, l.writes, l.cuts, l.rng, func(c powerCut, up *diskImage) bool {
		for ; at < c.entries; at++ {
			w := l.writes[at]
			written += len(w.data)
			if w.flush {
				flushes++
			}
			hear(w)
		}
		dir := t.TempDir()
		image := filepath.Join(dir, "image")
		if err := up.save(image); err != nil {
			t.Fatal(err)
		}
		if leave := os.Getenv("EDGED_CUT_DISK"); leave != "" && c == l.cuts[len(l.cuts)-1] {
			if err := up.save(leave); err != nil {
				t.Fatal(err)
			}
		}
		files, err := mountedFiles(image, dir)
		if err == nil {
			err = check(c, files)
		}
		if err != nil {
			kept := l.path + ".failed"
			if err := up.save(kept); err != nil {
				t.Error(err)
			}
			t.Fatalf("power cut after %d of %d writes and flushes, %.0f %% of what was not flushed lost (%s is the disk): %v",
				c.entries, len(l.writes), 100*c.loss, kept, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		return true
	})
	t.Logf("%d disks of %d writes (%d KiB) and %d flushes", len(l.cuts), len(l.writes)-flushes, written>>10, flushes)
	if flushes < 10 {
		t.Errorf("%d flushes", flushes)
	}
}

// claimOf reads what a write of the disk claims, if it does.
func claimOf(t *testing.T, w diskWrite, claim any) bool {
	t.Helper()
	rest, ok := bytes.CutPrefix(w.data, []byte(claimMagic))
	if ok {
		if err := json.Unmarshal(bytes.TrimRight(rest, "\x00"), claim); err != nil {
			t.Fatal(err)
		}
	}
	return ok
}

// mountedFiles replays the file system's journal in an image and copies its files into
// dir. It returns the folder.
func mountedFiles(image, dir string) (string, error) {
	tool := func(ok int, name string, args ...string) ([]byte, error) {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if cmd.Err != nil { // not where this process looks for programs
			cmd.Path, cmd.Err = filepath.Join("/usr/sbin", name), nil
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() <= ok {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		return out, err
	}
	if _, err := tool(1, "e2fsck", "-y", "-E", "journal_only", image); err != nil {
		return "", err
	}
	// The kernel's counters of free blocks are set right when it mounts; anything else
	// that would need a hand is an error.
	if _, err := tool(1, "e2fsck", "-f", "-p", image); err != nil {
		return "", err
	}
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o700); err != nil {
		return "", err
	}
	_, err := tool(0, "debugfs", "-R", "rdump / "+files, image)
	return files, err
}

// powerCheck knows what was found on other disks.
type powerCheck struct {
	model           *vlm.Model
	stream          *vlm.Stream
	events          map[uint64]string // by number
	snapshots, logs int
	films, lines    int // disks from which the film went on, and its captions
}

// files compares the files of a disk with what was claimed before the power cut.
func (p *powerCheck) files(dir string, c claim) (err error) {
	state := filepath.Join(dir, filepath.Base(vmState))
	for _, scene := range []string{"hall", "yard"} {
		found, err := p.newest(memory.Config{Scene: scene, Dir: filepath.Join(state, "memory", memory.Folder(scene))})
		if err != nil {
			return err
		}
		if found < c.Snapshots[scene] {
			return fmt.Errorf("%s: the newest snapshot is %d, and was %d", scene, found, c.Snapshots[scene])
		}
	}
	if _, err := p.newest(memory.Config{Scene: "film", Dir: filepath.Join(dir, filepath.Base(vmFilm))}); err != nil {
		return err
	}

	j, err := journal.Open(filepath.Join(state, "log"), &journal.Options{Report: func(r journal.Report) {
		err = fmt.Errorf("the log: %s", r.Text)
	}})
	if err != nil {
		return err
	}
	next, events := j.Next(), uint64(0)
	for r, e := range j.Search(context.Background(), journal.Query{}) {
		if e != nil {
			return e
		}
		text := strings.Join([]string{r.Kind, r.Scene, r.Text, string(r.Data)}, "|")
		if events++; r.Seq != events {
			return fmt.Errorf("event %d follows %d", r.Seq, events-1)
		}
		if p.events[r.Seq] == "" {
			p.events[r.Seq] = text
		} else if p.events[r.Seq] != text {
			return fmt.Errorf("event %d is %q, and on another disk %q", r.Seq, text, p.events[r.Seq])
		}
	}
	if e := j.Close(); e != nil { // told of everything then
		return e
	}
	if err != nil {
		return err
	}
	if events < c.Logged || next <= c.Given {
		return fmt.Errorf("%d events, and there were %d; they go on with %d, and %d was given", events, c.Logged, next, c.Given)
	}
	if events > 0 {
		p.logs++
	}
	return nil
}

// film lets the film go on from the disk, for a while. What is said of it, byte for byte, is
// what a run says that goes on from the same snapshot and nobody interrupts.
func (p *powerCheck) film(t *testing.T, dir string) {
	snap := newestWhole(t, p.model, dir)
	if snap == nil {
		return
	}
	if lines := filmGoesOn(t, dir, 500*time.Millisecond, newUninterrupted(t, p.model, snap)); lines > 0 {
		p.films++
		p.lines += lines
	}
}

// newest is the number of the newest snapshot in a folder, 0 if there is none. None may be
// damaged.
func (p *powerCheck) newest(c memory.Config) (number uint64, err error) {
	c.Model = p.model.Fingerprint()
	c.Report = func(text string) { err = errors.Join(err, fmt.Errorf("%s: %s", c.Scene, text)) }
	s, e := memory.Open(c)
	if e != nil {
		return 0, e
	}
	defer func() { err = errors.Join(err, s.Close(context.Background())) }()
	snap, e := s.Newest(func(memory.Info) bool { return true }, func(s *memory.Snapshot) error {
		return p.stream.SetState(s.Memories[0].State)
	})
	if e != nil { // none, or reported
		return 0, nil
	}
	p.snapshots++
	return snap.Seq, nil
}
