package crash

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds on what is kept.
const (
	Keep = 8         // reports
	Size = 256 << 10 // bytes of a report; what a crash is about stands at its beginning
)

const (
	running   = "running" // the file of the process that runs
	endOfHead = "--\n"
	noteMark  = "note: "
	again     = "\tpanic: " // what follows the first panic
)

// ErrBusy says that another process keeps its reports in the folder.
var ErrBusy = errors.New("another edged uses it")

// Keeper owns a folder of reports while the process runs.
type Keeper struct {
	mu   sync.Mutex
	file *os.File
	last *Report
}

// Report is how a process ended that did not end by itself.
type Report struct {
	File  string    // empty where the runtime said nothing: it was killed, or the power failed
	Time  time.Time // of the file, by the clock as it was then
	Cause string    // one line: what was noted before, and what the runtime said first
}

// String is the line for the log.
func (r *Report) String() string {
	if r.File == "" {
		return r.Cause
	}
	return r.Cause + " (" + r.File + ")"
}

// Open takes over the folder, which it makes, keeps what the process before left in it,
// and lets the runtime write there. head is what to know about this process, its version
// for example. The error is [ErrBusy], or that of the disk; without a keeper a process
// runs as well.
func Open(dir, head string) (*Keeper, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, running)
	f, err := lock(path)
	if err != nil {
		return nil, err
	}
	k := &Keeper{}
	if k.last, err = keep(dir, f); err == nil {
		// A new file: the one of the process before has another name now.
		f.Close()
		f, err = lock(path)
	}
	if err == nil {
		k.file = f
		err = k.begin(head)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return k, nil
}

// lock opens the file of the running process for it alone.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrBusy
		}
		err = &os.PathError{Op: "lock", Path: path, Err: err}
	} else if !isAt(f, path) { // somebody has kept it meanwhile
		err = &os.PathError{Op: "lock", Path: path, Err: ErrBusy}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func isAt(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

func (k *Keeper) begin(head string) error {
	if err := k.file.Truncate(0); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(k.file, "%s\n%s", strings.TrimSpace(head), endOfHead); err != nil {
		return err
	}
	debug.SetTraceback("all")
	return debug.SetCrashOutput(k.file, debug.CrashOptions{})
}

// keep makes a report of what the process before left in its file, and removes the
// oldest reports. Renaming needs no space on a full disk.
func keep(dir string, f *os.File) (*Report, error) {
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return nil, err
	}
	r := &Report{Time: st.ModTime(), Cause: "it was killed, or the power failed"}
	cause, said := read(f)
	if !said {
		return r, nil
	}
	r.Cause = cause
	if st.Size() > Size {
		if err := f.Truncate(Size); err != nil {
			return nil, err
		}
	}
	old, err := numbers(dir)
	if err != nil {
		return nil, err
	}
	next := 1
	if len(old) > 0 {
		next = old[len(old)-1] + 1
	}
	r.File = name(dir, next)
	if err := os.Rename(filepath.Join(dir, running), r.File); err != nil {
		return nil, err
	}
	for _, n := range old[:max(0, len(old)-(Keep-1))] {
		if err := os.Remove(name(dir, n)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func name(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("crash-%06d.txt", n)) }

// numbers are those of the reports of a folder, in order. They say nothing about time,
// which a machine without a clock does not know.
func numbers(dir string) ([]int, error) {
	names, err := filepath.Glob(filepath.Join(dir, "crash-[0-9][0-9][0-9][0-9][0-9][0-9].txt"))
	var all []int
	for _, s := range names {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(s), "crash-%06d.txt", &n); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, err
}

// read finds out what a file tells; said is false when nothing stands below its head.
func read(f io.ReadSeeker) (cause string, said bool) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", false
	}
	text, _ := io.ReadAll(io.LimitReader(f, Size)) // what could be read is better than nothing
	_, text, _ = bytes.Cut(text, []byte("\n"+endOfHead))
	var note, first string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		l := lines.Text()
		switch {
		case strings.HasPrefix(l, noteMark):
			note = strings.TrimPrefix(l, noteMark)
		case first == "" && tells(l), strings.HasPrefix(first, "panic: ") && strings.HasPrefix(l, again):
			first = strings.TrimSpace(l) // of a panic that was recovered from, what was made of it
		}
	}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return "", false
	case first == "":
		// Noted and then killed, or something the runtime has not said before.
		first = "it was killed, or the power failed"
	}
	if note != "" {
		first = note + "; " + first
	}
	return fmt.Sprintf("%.300s", first), true
}

// tells is true of the line with which the runtime says why.
func tells(line string) bool {
	for _, p := range []string{"panic: ", "fatal error: ", "runtime: ", "SIG"} {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}

// Last is how the process before ended; nil when it ended by itself, or there was none. A keeper
// that is nil knows of none.
func (k *Keeper) Last() *Report {
	if k == nil {
		return nil
	}
	return k.last
}

// Note writes a line that will stand before what the runtime says, should it say
// anything. A keeper that is nil or closed keeps none.
func (k *Keeper) Note(text string) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil
	}
	_, err := k.file.WriteString(noteMark + strings.Join(strings.Fields(text), " ") + "\n")
	return err
}

// Close says that the process ends by itself. The runtime writes no more.
func (k *Keeper) Close() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil
	}
	err := errors.Join(debug.SetCrashOutput(nil, debug.CrashOptions{}), os.Remove(k.file.Name()), k.file.Close())
	k.file = nil
	return err
}

// Reports are those kept in a folder, the newest first.
func Reports(dir string) ([]Report, error) {
	all, err := numbers(dir)
	if err != nil {
		return nil, err
	}
	var reports []Report
	for _, n := range slices.Backward(all) {
		r := Report{File: name(dir, n)}
		f, err := os.Open(r.File)
		if err != nil {
			return reports, err
		}
		if st, err := f.Stat(); err == nil {
			r.Time = st.ModTime()
		}
		r.Cause, _ = read(f)
		f.Close()
		reports = append(reports, r)
	}
	return reports, nil
}
