package camera

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TimesFile is the name of the file in a folder of pictures that says when they were taken:
// a line for each, its name and its time, in seconds since anything or as RFC 3339 has it.
// Empty lines and those that begin with # are left out.
const TimesFile = "times.txt"

// Bounds of a file of times.
const (
	maxTimes    = 64 << 20 // bytes
	maxTimeLine = 4 << 10
	maxSeconds  = 9e9 // so that nanoseconds fit into a Duration
)

// shortestGap is less than cameras have between two pictures. Modification times that are
// closer are those of a copy.
const shortestGap = 20 * time.Millisecond

// setTimes sets when the pictures were taken, since 1970 or since anything, and sorts them by
// that. Where a folder does not say, it is when their files were modified; a gap that cannot
// be one between pictures counts as a second. It returns how it knows, and the first time.
func setTimes(sets []viewFiles) (how string, first time.Duration, err error) {
	how = "at the times of their files"
	for k, s := range sets {
		given, err := readTimes(filepath.Dir(s.pictures[0].path))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = modified(s.pictures)
		case err == nil:
			how = "at the times in " + TimesFile
			err = listed(s.pictures, given)
		}
		if err != nil {
			return "", 0, err
		}
		if t := s.pictures[0].taken; k == 0 || t < first {
			first = t
		}
	}
	return how, first, nil
}

func listed(pictures []picture, given map[string]time.Duration) error {
	for i := range pictures {
		p := &pictures[i]
		t, ok := given[filepath.Base(p.path)]
		if !ok {
			return fmt.Errorf("%s is not in the %s beside it", p.path, TimesFile)
		}
		p.taken = t
	}
	slices.SortStableFunc(pictures, func(a, b picture) int { return cmp.Compare(a.taken, b.taken) })
	return nil
}

func modified(pictures []picture) error {
	var last time.Time
	for i := range pictures {
		p := &pictures[i]
		st, err := os.Stat(p.path)
		if err != nil {
			return err
		}
		t := st.ModTime()
		if i == 0 {
			p.taken = time.Duration(t.UnixNano())
		} else if gap := t.Sub(last); gap >= shortestGap {
			p.taken = pictures[i-1].taken + gap
		} else {
			p.taken = pictures[i-1].taken + time.Second
		}
		last = t
	}
	return nil
}

// readTimes reads the file of times of a folder.
func readTimes(dir string) (map[string]time.Duration, error) {
	path := filepath.Join(dir, TimesFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	given, err := parseTimes(io.LimitReader(f, maxTimes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return given, nil
}

// parseTimes returns times, since 1970 or since anything, by the names of files.
func parseTimes(r io.Reader) (map[string]time.Duration, error) {
	given := map[string]time.Duration{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTimeLine)
	read := 0
	for n := 1; lines.Scan(); n++ {
		if read += len(lines.Bytes()) + 1; read > maxTimes {
			return nil, fmt.Errorf("more than %d MiB", maxTimes>>20)
		}
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexAny(line, " \t")
		if at < 0 {
			return nil, fmt.Errorf("line %d: want the name of a picture and its time", n)
		}
		name := strings.TrimSpace(line[:at])
		t, err := parseTime(line[at+1:])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, twice := given[name]; twice {
			return nil, fmt.Errorf("line %d: a second time for %.100q", n, name)
		}
		given[name] = t
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("after %d lines: %w", len(given), err)
	}
	return given, nil
}

func parseTime(s string) (time.Duration, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil && t.Unix() >= 0 && t.Unix() < maxSeconds {
		return time.Duration(t.UnixNano()), nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v < maxSeconds) {
		return 0, fmt.Errorf("%.40q is no time: want seconds, 12.5, or 2006-01-02T15:04:05.5Z", s)
	}
	whole, part := math.Modf(v) // apart, as a float64 of today's seconds has no nanoseconds
	return time.Duration(whole)*time.Second + time.Duration(math.Round(part*1e6))*time.Microsecond, nil
}
