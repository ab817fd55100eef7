package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

// These tests need the machine of scripts/vm.sh ("make test-vm"): cameras that fail when
// told to, a disk, and the binary in the working folder. EDGED_VM_BOOT says which start of
// the machine it is: in the first the power is cut.

// Controls of the cameras, vivid-ctrls.c.
const (
	vividPattern       = 0x00f0f000
	vividDropPercent   = 0x00f0f040
	vividDisconnect    = 0x00f0f041
	vividErrorFlag     = 0x00f0f042
	vividReqbufsError  = 0x00f0f043
	vividQbufError     = 0x00f0f044
	vividStreamonError = 0x00f0f045
	vividFatalError    = 0x00f0f046
)

// press sets a control of camera n.
func press(t *testing.T, n int, id uint32, value int32) {
	t.Helper()
	f, err := os.OpenFile(fmt.Sprintf("/dev/video%d", n), os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	control := struct {
		id    uint32
		value int32
	}{id, value}
	const setControl = 3<<30 | unsafe.Sizeof(control)<<16 | 'V'<<8 | 28 // VIDIOC_S_CTRL
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), setControl, uintptr(unsafe.Pointer(&control))); e != 0 {
		t.Errorf("camera %d: control %#x: %v", n, id, e)
	}
}

const (
	vmState    = "/disk/state"
	vmAnswers  = "/disk/answers" // what was answered before the power cut, one object a line
	vmClaims   = "/disk/claims"  // what is on the disk for certain, see claim
	vmFilm     = "/disk/film"    // snapshots of a film
	vmQuestion = "what left the room?"
	vmConfig   = `
memory: {snapshot: 2s}
budgets: {writes_per_day: 20GB} # without, one in 8 s would be all
scenes:
  - name: hall
    views:
      - {name: left, source: "v4l2:/dev/video0", size: 320x180, rate: 5}
      - {name: right, source: "v4l2:/dev/video1", size: 320x180, rate: 5}
  - name: yard
    views:
      - {name: left, source: "v4l2:/dev/video2", size: 320x180, rate: 5}
      - {name: right, source: "v4l2:/dev/video3", size: 320x180, rate: 5}
`
)

// vmDaemon is the binary that runs, and what it, "edged watch -json" and who watches the film
// have said.
type vmDaemon struct {
	*client.Client
	process            *os.Process
	socket             string
	log, watched, film syncBuffer
}

func startVM(t *testing.T) *vmDaemon {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(config, []byte(vmConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &vmDaemon{socket: filepath.Join(dir, "socket")}
	start := func(out *syncBuffer, args ...string) *os.Process {
		cmd := exec.Command("./edged", args...)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Signal(unix.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%q: %v", args, err)
			}
		})
		return cmd.Process
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%swatched:\n%s", &d.log, &d.watched)
		}
	})
	d.process = start(&d.log, "run", "-config", config, "-socket", d.socket, "-state", vmState)
	eventually(t, "the socket answers", func() bool {
		c, err := client.Dial(t.Context(), d.socket, nil)
		d.Client = c
		return err == nil
	})
	t.Cleanup(func() { d.Close() })
	start(&d.watched, "watch", "-json", "-socket", d.socket)
	return d
}

// eventually waits for something.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}

// captions waits until another caption of each scene comes out of "edged watch -json".
func (d *vmDaemon) captions(t *testing.T, have int) {
	t.Helper()
	for _, scene := range []string{"hall", "yard"} {
		eventually(t, "a caption of "+scene, func() bool {
			n := 0
			for line := range strings.Lines(d.watched.String()) {
				var e jsonEvent
				if json.Unmarshal([]byte(line), &e) == nil && e.Type == wire.EventCaption && e.Scene == scene && e.Text != "" {
					n++
				}
			}
			return n > have
		})
	}
}

// ask asks the binary.
func (d *vmDaemon) ask(t *testing.T, scene string, args ...string) (a jsonAnswer) {
	t.Helper()
	args = append([]string{"ask", "-json", "-socket", d.socket, "-scene", scene, vmQuestion}, args...)
	out, err := exec.Command("./edged", args...).CombinedOutput()
	if err != nil || json.Unmarshal(out, &a) != nil || a.Scene != scene || a.Text == "" {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
	return a
}

// askFirst asks about the oldest snapshot on the disk, which stays when those between it and
// the newest are thinned out.
func (d *vmDaemon) askFirst(t *testing.T, scene string) jsonAnswer {
	t.Helper()
	all, err := d.Snapshots(t.Context(), scene)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Snapshots {
		for after := int64(0); s.Disk && after < 2000; after += 100 { // it was taken that much after its pictures
			at := time.UnixMilli(s.Time + after).Format(time.RFC3339Nano)
			out, err := exec.Command("./edged", "ask", "-json", "-socket", d.socket, "-scene", scene, "-at", at, vmQuestion).Output()
			var a jsonAnswer
			if err == nil && json.Unmarshal(out, &a) == nil && a.Frame == s.Frame {
				return a
			}
		}
	}
	t.Fatalf("%s: no answer from any snapshot on the disk: %+v", scene, all.Snapshots)
	return jsonAnswer{}
}

// views returns the status of the views, by number of the camera.
func (d *vmDaemon) views(t *testing.T) (all []wire.ViewStatus) {
	t.Helper()
	s, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range s.Scenes {
		all = append(all, s.Views...)
	}
	return all
}

// fail has cameras fail, and waits until each noticed and delivers pictures again.
func (d *vmDaemon) fail(t *testing.T, what string, cameras []int, inject func()) {
	t.Helper()
	before := d.views(t)
	inject()
	eventually(t, what+" noticed", func() bool {
		now := d.views(t)
		for _, n := range cameras {
			if now[n].Faults == before[n].Faults && now[n].Damaged == before[n].Damaged {
				return false
			}
		}
		before = now
		return true
	})
	eventually(t, "pictures after "+what, func() bool {
		now := d.views(t)
		for _, n := range cameras {
			if now[n].Frames < before[n].Frames+2 {
				return false
			}
		}
		return true
	})
}

// Two scenes of two cameras each, and the model in the binary. Before the power is cut:
// captions flow through the socket and questions are answered while each of the cameras'
// faults happens; cameras are pulled out and put back. After it: the memory is there
// again, and what was asked before is answered about then with the same words.
func TestVMRun(t *testing.T) {
	switch os.Getenv("EDGED_VM_BOOT") {
	case "1":
		beforeCut(t, startVM(t))
	case "2":
		afterCut(t, startVM(t))
	default:
		t.Skip("needs the virtual machine of make test-vm")
	}
}

func beforeCut(t *testing.T, d *vmDaemon) {
	claims := claimer(t)
	var claimed atomic.Int64
	go func() {
		for d.claim(t, claims) {
			claimed.Add(diskBlock)
			time.Sleep(100 * time.Millisecond)
		}
	}()
	diskBegan, counted := diskWritten(t), d.written(t)
	d.captions(t, 0)
	d.fail(t, "a fatal error, a disconnection, QBUF, a damaged picture", []int{0, 1, 2, 3}, func() {
		press(t, 0, vividFatalError, 1)
		press(t, 1, vividDisconnect, 1)
		press(t, 2, vividQbufError, 1)
		press(t, 3, vividErrorFlag, 1)
	})
	d.fail(t, "REQBUFS, STREAMON, dropped pictures", []int{0, 1, 2}, func() {
		press(t, 0, vividReqbufsError, 1)
		press(t, 0, vividFatalError, 1)
		press(t, 1, vividStreamonError, 1)
		press(t, 1, vividFatalError, 1)
		press(t, 2, vividDropPercent, 100)
		time.AfterFunc(8*time.Second, func() { press(t, 2, vividDropPercent, 0) }) // twice as long as is waited for a picture
		d.ask(t, "yard")
	})
	d.fail(t, "cameras pulled out", []int{0, 1, 2, 3}, func() {
		bind := func(what string) {
			if err := os.WriteFile("/sys/bus/platform/drivers/vivid/"+what, []byte("vivid.0"), 0); err != nil {
				t.Error(err)
			}
		}
		bind("unbind")
		eventually(t, "the nodes are let go", func() bool {
			open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", d.process.Pid))
			for _, l := range open {
				if to, _ := os.Readlink(l); strings.HasPrefix(to, "/dev/video") {
					return false
				}
			}
			return true
		})
		d.ask(t, "hall")
		bind("bind")
	})
	// Other pictures, other words.
	for _, n := range []int{0, 2} {
		press(t, n, vividPattern, 7)
	}
	d.captions(t, 1)

	fmt.Printf("vm: the disk was given %d KiB, of which edged counted %d; claims were %d\n",
		(diskWritten(t)-diskBegan)>>10, (d.written(t)-counted)>>10, claimed.Load()>>10)
	var told []byte
	tell := func(a jsonAnswer) {
		line, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		told = append(append(told, line...), '\n')
	}
	for _, scene := range []string{"hall", "yard"} {
		tell(d.askFirst(t, scene))
	}
	for range 20 {
		for _, scene := range []string{"hall", "yard"} {
			tell(d.ask(t, scene))
		}
		time.Sleep(300 * time.Millisecond)
	}
	f, err := os.Create(vmAnswers)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(told); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}

	// Somebody watches a film, each picture of it.
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asVictim+"="+vmFilm)
	cmd.Stdout, cmd.Stderr = &d.film, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "captions of the film", func() bool { return strings.Count(d.film.String(), "\n") > 20 })
	if t.Failed() {
		return
	}
	fmt.Println("vm: cut")
	time.Sleep(time.Hour)
}

// claim is what holds at the moment when it is written to the disk.
type claim struct {
	Snapshots map[string]uint64 // number of the newest snapshot on the disk, by scene
	Logged    uint64            // events up to this number are on the disk
	Given     uint64            // numbers up to this one were given to events
	Written   int64             // bytes that were written for all that, as edged counts them
	Lost      []float64         // how far the newest snapshots on the disk are behind what was seen, in milliseconds
	Film      int               // captions of the film
}

// claimMagic begins a block of the disk with a claim.
const claimMagic = "what edged says is on the disk: "

// claimer opens the block of the disk that claims are written to. Nothing is flushed with
// them.
func claimer(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(vmClaims, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, diskBlock)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	past, err := os.OpenFile(vmClaims, os.O_WRONLY|unix.O_DIRECT, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { past.Close() })
	return past
}

// diskWritten is how many bytes the disk was given, as the kernel counts them.
func diskWritten(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/sys/block/vda/stat")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 7 {
		t.Fatalf("%q, %v", b, err)
	}
	sectors, err := strconv.ParseInt(fields[6], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return 512 * sectors
}

// written is how many bytes the daemon wrote, as it counts them.
func (d *vmDaemon) written(t *testing.T) int64 {
	t.Helper()
	s, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return writtenBy(s)
}

func writtenBy(s *wire.Status) int64 {
	n := s.Log.Written
	for _, s := range s.Scenes {
		if s.Memory != nil {
			n += s.Memory.Written
		}
	}
	return n
}

// claim asks the daemon what is on the disk, and writes that down. It reports false when
// the test has ended.
func (d *vmDaemon) claim(t *testing.T, to *os.File) bool {
	c := claim{Snapshots: map[string]uint64{}}
	for _, scene := range []string{"hall", "yard"} {
		s, err := d.Snapshots(t.Context(), scene)
		if err != nil {
			return false
		}
		for _, s := range s.Snapshots {
			if s.Disk {
				c.Snapshots[scene] = s.Number
			}
		}
	}
	s, err := d.Status(t.Context())
	if err != nil || s.Log.Next == 0 {
		return false
	}
	c.Given = s.Log.Next - 1
	c.Logged = c.Given - uint64(s.Log.Pending)
	c.Written = writtenBy(s)
	for _, s := range s.Scenes {
		if s.Memory.Saved > 0 {
			c.Lost = append(c.Lost, s.Memory.AgeMS-s.AgeMS)
		}
	}
	c.Film = strings.Count(d.film.String(), "\n")
	return writeClaim(to, c) == nil
}

// writeClaim writes a claim down.
func writeClaim(to *os.File, claim any) error {
	// O_DIRECT wants the memory aligned, as mappings are.
	block, err := unix.Mmap(-1, 0, diskBlock, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(block)
	line, err := json.Marshal(claim)
	if err != nil {
		return err
	}
	copy(block, append([]byte(claimMagic), line...))
	_, err = to.WriteAt(block, 0)
	return err
}

func afterCut(t *testing.T, d *vmDaemon) {
	data, err := os.ReadFile(vmAnswers)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]map[int64]string{"hall": {}, "yard": {}}
	last := map[string]jsonAnswer{}
	for line := range strings.Lines(string(data)) {
		var a jsonAnswer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		told[a.Scene][a.Frame], last[a.Scene] = a.Text, a
	}
	for scene, l := range last {
		a := d.ask(t, scene, "-at", l.Time.Format(time.RFC3339Nano))
		if text, ok := told[scene][a.Frame]; !ok || text != a.Text {
			t.Errorf("%s: asked about frame set %d after the power cut: %q; before it: %v", scene, a.Frame, a.Text, told[scene])
		}
		// The film was watched for longer than an interval after that answer.
		var from int64
		if _, rest, ok := strings.Cut(d.log.String(), scene+": goes on with the memory of frame set "); ok {
			fmt.Sscan(rest, &from)
		}
		t.Logf("%s: the last answer before the power cut was of frame set %d, answered about then from %d; it goes on with the memory of %d",
			scene, l.Frame, a.Frame, from)
		if from < l.Frame {
			t.Errorf("%s: it goes on with frame set %d, want %d at least", scene, from, l.Frame)
		}
		eventually(t, scene+": a frame set after those of before the power cut", func() bool { return d.ask(t, scene).Frame > from })
	}
	d.captions(t, 0)

	// The film goes on after the newest snapshot of before the power cut, as if the power had
	// stayed.
	m, err := openModel("", &vlm.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	snap := newestWhole(t, m, vmFilm)
	if snap == nil {
		t.Fatal("no snapshot of the film")
	}
	n := filmGoesOn(t, vmFilm, 2*time.Second, newUninterrupted(t, m, nil))
	if n == 0 {
		t.Error("nothing was said of the film")
	}
	t.Logf("the film went on after picture %d, with %d captions", snap.Frame, n)
}

// filmGoesOn lets the film go on with the snapshots in a folder, for a while after its first
// caption, and compares what is said of it with what the run alone says, which begins no later.
// It returns how many captions that were.
func filmGoesOn(t *testing.T, dir string, span time.Duration, alone *uninterrupted) int {
	t.Helper()
	lines := life(t, dir, 1, span)
	for i, l := range lines {
		if want := lines[0].frame + uint64(i); l.frame != want {
			t.Fatalf("picture %d of the film is described, want %d", l.frame, want)
		}
		if want := alone.caption(t, l.frame); l.text != want {
			t.Fatalf("picture %d of the film: %q, when the power stays %q", l.frame, l.text, want)
		}
	}
	return len(lines)
}
