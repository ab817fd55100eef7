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
// TestVMRun ran: EDGED_WRITE_LOG is the log of its disk, EDGED_CUTS how many moments. Of what
// was not flushed, none, some or all is lost. The file system's own journal is replayed, as
// mounting does. Then what the daemon said is on the disk must be there: a snapshot no older
// than the newest that it had, whole and one that the model takes; each event, the same on
// all disks; and numbers of events go on after those that were given.
//
// From the disks of moments at which a film was watched it goes on.
//
// EDGED_CUT_DISK is where the disk of the last moment is left for the machine to start from.
func TestPowerCuts(t *testing.T) {
	path := os.Getenv("EDGED_WRITE_LOG")
	if path == "" {
		t.Skip("needs the log of a disk from make test-vm")
	}
	log, err := readWriteLog(path)
	if err != nil {
		t.Fatal(err)
	}
	base, err := readDiskImage(path + ".base")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(os.Getenv("EDGED_CUTS"))
	if err != nil || n < 1 {
		t.Fatalf("EDGED_CUTS: %v", err)
	}
	m, err := openModel("", &vlm.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	stream, err := m.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	filmed := slices.IndexFunc(log, func(w diskWrite) bool {
		c, ok := claimOf(t, w)
		return ok && c.Film > 0
	})
	if filmed < 0 {
		t.Fatal("nobody watched the film")
	}
	// A third evenly, two thirds at random, some more while the film is watched; the last one
	// at the end.
	rng := rand.New(rand.NewPCG(7, 1))
	cuts := make([]powerCut, n)
	for i := range cuts {
		cuts[i] = powerCut{entries: rng.IntN(len(log) + 1), loss: []float64{0, 0.1, 0.5, 0.9, 1}[rng.IntN(5)]}
		if i%3 == 0 {
			cuts[i].entries = i * len(log) / n
		}
	}
	for range filmCuts {
		cuts = append(cuts, powerCut{filmed + 1 + rng.IntN(len(log)-filmed), []float64{0, 0.5, 1}[rng.IntN(3)], true})
	}
	cuts[0] = powerCut{entries: len(log), loss: 0.5}
	slices.SortFunc(cuts, func(a, b powerCut) int { return a.entries - b.entries })

	check := powerCheck{model: m, stream: stream, events: map[uint64]string{}}
	claims, flushes, written, at := 0, 0, 0, 0
	var now claim
	var lost []float64 // milliseconds
	disks(base, log, cuts, rng, func(c powerCut, up *diskImage) bool {
		for ; at < c.entries; at++ {
			w := log[at]
			written += len(w.data)
			if w.flush {
				flushes++
			}
			if c, ok := claimOf(t, w); ok {
				now = c
				lost = append(lost, c.Lost...)
				claims++
			}
		}
		dir := t.TempDir()
		image := filepath.Join(dir, "image")
		if err := up.save(image); err != nil {
			t.Fatal(err)
		}
		if leave := os.Getenv("EDGED_CUT_DISK"); leave != "" && c == cuts[len(cuts)-1] {
			if err := up.save(leave); err != nil {
				t.Fatal(err)
			}
		}
		state, err := mountedFiles(image, dir)
		if err == nil {
			err = check.files(state, now)
		}
		if err == nil && c.film {
			check.film(t, filepath.Join(state, filepath.Base(vmFilm)))
		}
		if err != nil {
			kept := path + ".failed"
			if err := up.save(kept); err != nil {
				t.Error(err)
			}
			t.Fatalf("power cut after %d of %d writes and flushes, %.0f %% of what was not flushed lost (%s is the disk): %v",
				c.entries, len(log), 100*c.loss, kept, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		return true
	})
	slices.Sort(lost)
	t.Logf("a power cut would have lost 2 s at most at %d of %d moments, and %.1f s at most", sort.SearchFloat64s(lost, 2000), len(lost), lost[len(lost)-1]/1000)
	t.Logf("the film went on from %d disks, with %d captions", check.films, check.lines)
	t.Logf("%d disks of %d writes (%d KiB, edged counted %d) and %d flushes, %d claims; snapshots were found on %d, events on %d",
		len(cuts), len(log)-flushes, written>>10, now.Written>>10, flushes, claims, check.snapshots, check.logs)
	// The interval, but for a host that holds up the disk now and then.
	if within := sort.SearchFloat64s(lost, 2000); within < len(lost)*95/100 || lost[len(lost)-1] > 5000 {
		t.Errorf("only %d of %d within the interval", within, len(lost))
	}
	if check.films < filmCuts/2 || check.lines < check.films {
		t.Error("the film hardly went on")
	}
	if claims < 10 || len(now.Snapshots) != 2 || now.Logged == 0 || flushes < 10 {
		t.Errorf("hardly anything was claimed: %d times, last %+v", claims, now)
	}
}

// claimOf is what a write of the disk claims, if it does.
func claimOf(t *testing.T, w diskWrite) (c claim, ok bool) {
	t.Helper()
	rest, ok := bytes.CutPrefix(w.data, []byte(claimMagic))
	if ok {
		if err := json.Unmarshal(bytes.TrimRight(rest, "\x00"), &c); err != nil {
			t.Fatal(err)
		}
	}
	return c, ok
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
