package journal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/fakeclock"
)

func TestAppendAndSearch(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, nil)
	const n = 1000
	for i := range n {
		if seq := j.Append(caption(i)); seq != uint64(i+1) {
			t.Fatalf("record %d has the number %d", i, seq)
		}
		if i == n/2 {
			save(t, j)
		}
	}
	// From the file and from memory, then from the file alone.
	for range 2 {
		all := find(t, j, Query{})
		if len(all) != n || all[0] != 1 || all[n-1] != n || !slices.IsSorted(all) {
			t.Fatalf("%d records, %d to %d", len(all), all[0], all[len(all)-1])
		}
		if got := find(t, j, Query{From: 490, To: 520}); len(got) != 31 || got[0] != 490 || got[30] != 520 {
			t.Errorf("490 to 520: %v", got)
		}
		if got := find(t, j, Query{Scene: "scene 1", Match: regexp.MustCompile(`^1?\d\d: a blue`)}); len(got) != 64 {
			t.Errorf("scene and text: %d", len(got))
		}
		if got := find(t, j, Query{Kind: "state"}); got != nil {
			t.Errorf("kind: %v", got)
		}
		save(t, j)
	}
	for r, err := range j.Search(t.Context(), Query{From: 8}) {
		want := caption(7)
		want.Seq, want.Time = 8, r.Time
		if err != nil || !reflect.DeepEqual(r, want) || time.Since(r.Time.Wall) > time.Minute || r.Time.Up <= 0 {
			t.Errorf("%+v, %v, want %+v", r, err, want)
		}
		break
	}
	if s := j.Status(); s.Records != n || s.First != 1 || s.Next != n+1 || s.Pending != 0 || s.Error != "" || s.Bytes < 60*n {
		t.Errorf("%+v", s)
	}
	if _, err := Open(dir, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("second process: %v", err)
	}
	j.Append(caption(n))
	closed(t, j) // writes what waits
	if err := j.Sync(t.Context()); err != nil {
		t.Errorf("nothing waits: %v", err)
	}
	j = open(t, dir, nil)
	defer closed(t, j)
	if got := find(t, j, Query{From: n}); len(got) != 2 {
		t.Errorf("after closing: %v", got)
	}
	if seq := j.Append(caption(0)); seq != n+2 {
		t.Errorf("%d follows %d", seq, n+1)
	}
}

func TestLongRecords(t *testing.T) {
	j := open(t, t.TempDir(), nil)
	defer closed(t, j)
	long := &Record{Kind: strings.Repeat("k", 300), Scene: strings.Repeat("é", 200), Text: strings.Repeat("t", 1<<17), Data: make([]byte, 1<<17)}
	for range 50 {
		j.Append(long)
	}
	save(t, j)
	n := 0
	for r, err := range j.Search(t.Context(), Query{}) {
		if err != nil || len(r.Kind) != maxName || r.Scene != strings.Repeat("é", 127) || len(r.Text) != maxText || len(r.Data) != maxData {
			t.Fatalf("%d %d %d %d, %v", len(r.Kind), len(r.Scene), len(r.Text), len(r.Data), err)
		}
		n++
	}
	if n != 50 {
		t.Errorf("%d found", n)
	}
}

// TestSearchEnds: with its context and when its loop does, and writing goes on
// during a search.
func TestSearchEnds(t *testing.T) {
	j := open(t, t.TempDir(), nil)
	defer closed(t, j)
	for i := range 2000 {
		j.Append(caption(i))
	}
	save(t, j)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range j.Search(ctx, Query{}) {
		if n++; n == 10 {
			j.Append(caption(0))
			save(t, j)
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || n > findAtOnce+1 {
		t.Errorf("%v after %d", last, n)
	}
}

// TestSequence: numbers are never given twice, whatever is lost.
func TestSequence(t *testing.T) {
	dir := t.TempDir()
	var highest uint64
	give := func(what string, exact bool) {
		t.Helper()
		j := open(t, dir, nil)
		seq := j.Append(caption(0))
		if seq <= highest || exact && seq != highest+1 || !exact && seq > highest+3*reserve {
			t.Errorf("%s: %d follows %d", what, seq, highest)
		}
		j.Append(caption(1))
		save(t, j)
		highest = j.Append(caption(2)) // given, not saved
		crash(t, j)
	}
	give("new", true)
	give("after a crash", false)
	j := open(t, dir, nil)
	highest = j.Append(caption(0))
	closed(t, j)
	give("closed in order", true)

	old, err := os.ReadFile(filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	give("before the tail is lost", false)
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log.db", old)
	give("without the tail", false)
	write("log.db", nil)
	give("with an empty file", false)
	write("log.db", bytes.Repeat([]byte("noise "), 1e4))
	give("with noise", false)
	if err := os.Remove(filepath.Join(dir, "log.db")); err != nil {
		t.Fatal(err)
	}
	give("without the file", false)
	mark, err := os.ReadFile(filepath.Join(dir, "log.mark"))
	if err != nil {
		t.Fatal(err)
	}
	mark[markSlot-1]++ // one slot
	write("log.mark", mark)
	give("with a damaged mark", false)
	// Without the mark numbers go on behind those saved and some that may have been given.
	if err := os.Remove(filepath.Join(dir, "log.mark")); err != nil {
		t.Fatal(err)
	}
	give("without the mark", false)
	write("log.mark", []byte("noise"))
	give("with noise for a mark", false)
}

// TestSecondMark: with a mark elsewhere numbers go on where they were though the whole folder is
// lost, or the mark in it and all records, and that is told.
func TestSecondMark(t *testing.T) {
	dir := t.TempDir()
	folder, other := filepath.Join(dir, "log"), filepath.Join(dir, "elsewhere", "log.mark")
	highest := uint64(0)
	give := func(what string, exact bool, told string) {
		t.Helper()
		var said reports
		j := open(t, folder, &Options{Mark: other, Report: said.add})
		seq := j.Append(caption(0))
		if seq <= highest || exact && seq != highest+1 {
			t.Errorf("%s: %d follows %d", what, seq, highest)
		}
		highest = j.Append(caption(1))
		save(t, j)
		closed(t, j)
		if got := said.kinds(); got != told {
			t.Errorf("%s: told %q, want %q", what, got, told)
		}
	}
	spoil := func(paths ...string) {
		t.Helper()
		for _, p := range paths {
			if err := os.WriteFile(p, []byte("noise"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	give("new", true, "")
	give("again", true, "")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	give("without the folder", true, ReportNumbers)
	spoil(filepath.Join(folder, markName), filepath.Join(folder, fileName))
	give("with noise in the folder", true, ReportDamaged+" "+ReportNumbers)
	spoil(other)
	give("with noise elsewhere", true, "")
	spoil(other, filepath.Join(folder, fileName))
	give("with noise elsewhere and for the log", true, ReportDamaged)
	spoil(other, filepath.Join(folder, markName))
	give("with noise for both marks", false, ReportNumbers)
	// A process that was killed between the two.
	m, err := openMark(other)
	if err == nil {
		err = m.write(highest+1000, false)
		m.close()
	}
	if err != nil {
		t.Fatal(err)
	}
	highest += 999
	give("one behind the other", true, "")
}

// TestRetentionBySize: the oldest records go, the file stays within its budget, and
// numbers go on.
func TestRetentionBySize(t *testing.T) {
	dir := t.TempDir()
	const budget = 1 << 20
	j := open(t, dir, &Options{MaxBytes: budget, Delay: time.Hour})
	defer closed(t, j)
	const n = 60000
	for i := range n {
		j.Append(caption(i))
		if i%1000 == 999 {
			save(t, j)
		}
	}
	s := j.Status()
	if s.Bytes > budget || s.Bytes < budget*9/10 || s.Next != n+1 || s.First != s.Next-uint64(s.Records) {
		t.Errorf("%+v", s)
	}
	if got := find(t, j, Query{}); int64(len(got)) != s.Records || got[0] != s.First {
		t.Errorf("%d records from %d, %+v", len(got), got[0], s)
	}
	if got := find(t, j, Query{Within: time.Hour}); int64(len(got)) != s.Records {
		t.Errorf("%d records within an hour, %+v", len(got), s)
	}
	info, err := os.Stat(filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records of %d bytes in a file of %d", s.Records, s.Bytes, info.Size())
	if info.Size() > budget*3/2+2<<20 {
		t.Errorf("the file has %d bytes", info.Size())
	}
}

// TestRetentionByAge: nothing is deleted unless it is certain to be old.
func TestRetentionByAge(t *testing.T) {
	const year, age = 365 * 24 * time.Hour, 30 * 24 * time.Hour
	for _, c := range []struct {
		name    string
		happens func(*fakeclock.Device)
		deleted bool
	}{
		{"two months pass", func(d *fakeclock.Device) { d.Pass(2 * age) }, true},
		{"a day passes", func(d *fakeclock.Device) { d.Pass(24 * time.Hour) }, false},
		{"the clock jumps a year ahead", func(d *fakeclock.Device) { d.Jump(year, true) }, false},
		{"the clock jumps a year back", func(d *fakeclock.Device) { d.Jump(-year, true) }, false},
		{"two months pass, and the clock jumps back", func(d *fakeclock.Device) { d.Pass(2 * age); d.Jump(-year, false) }, true},
		{"started again two months later", func(d *fakeclock.Device) { d.Reboot(0); d.Jump(2*age, true) }, true},
		{"started again two months later, it seems", func(d *fakeclock.Device) { d.Reboot(0); d.Jump(2*age, false) }, false},
		{"started again in 1970", func(d *fakeclock.Device) { d.Reboot(0); d.Jump(-56*year, false) }, false},
		{"started again in 1970, up for two months", func(d *fakeclock.Device) { d.Reboot(0); d.Jump(-56*year, false); d.Pass(2 * age) }, false},
		{"recorded in 1970", func(d *fakeclock.Device) {}, false},
	} {
		d := newDevice()
		if c.name == "recorded in 1970" {
			d.Jump(-56*year, false)
		}
		dir := t.TempDir()
		j := open(t, dir, &Options{MaxAge: age, Clock: d.Clock})
		for i := range 600 {
			j.Append(caption(i))
		}
		closed(t, j)
		c.happens(d)
		if c.name == "recorded in 1970" {
			d.Reboot(0)
			d.Jump(56*year, true)
		}
		j = open(t, dir, &Options{Clock: d.Clock})
		j.Append(caption(600))
		save(t, j)
		if first := j.Status().First; first != 1 {
			t.Errorf("%s: nothing has a limit, and the first is %d", c.name, first)
		}
		j.Limit(0, age, 0)
		j.Append(caption(601))
		save(t, j)
		// To within a block.
		if first := j.Status().First; c.deleted != (first > 1) || c.deleted && first < 600-2*blockSize {
			t.Errorf("%s: the first is %d", c.name, first)
		}
		closed(t, j)
	}
}

// TestLimit: of a log that runs, without anything being appended.
func TestLimit(t *testing.T) {
	d := newDevice()
	j := open(t, t.TempDir(), &Options{Clock: d.Clock})
	defer closed(t, j)
	for i := range 2000 {
		if i == pruneStep {
			d.Pass(2 * time.Hour)
		}
		j.Append(caption(i))
	}
	save(t, j)
	until := func(what string, is func(Status) bool) {
		t.Helper()
		for !is(j.Status()) {
			time.Sleep(time.Millisecond) // as long as the test may take
		}
		if s := j.Status(); s.First+uint64(s.Records) != 2001 {
			t.Errorf("%s: %+v", what, s)
		}
	}
	j.Limit(0, time.Hour, 0)
	until("by age", func(s Status) bool {
		return s.First > pruneStep-2*blockSize && s.First <= pruneStep+1 && s.MaxAge == time.Hour
	})
	j.Limit(20<<10, 0, 0)
	until("by size", func(s Status) bool {
		return s.Bytes <= 20<<10 && s.Records > 100 && s.MaxBytes == 20<<10 && s.MaxAge == 0
	})
}

func TestSearchWithin(t *testing.T) {
	const hour = time.Hour
	d := newDevice()
	dir := t.TempDir()
	j := open(t, dir, &Options{Clock: d.Clock})
	add := func(n int, every time.Duration) {
		for range n {
			j.Append(caption(0))
			d.Pass(every)
		}
		save(t, j)
	}
	within := func(w time.Duration, from, n uint64) {
		t.Helper()
		got := find(t, j, Query{Within: w})
		if uint64(len(got)) != n || n > 0 && got[0] != from {
			t.Errorf("within %v: %d found, %v..., want %d from %d", w, len(got), got[:min(3, len(got))], n, from)
		}
	}
	add(1000, time.Minute)
	within(hour, 941, 60)
	within(10*hour, 401, 600)
	within(1000*hour, 1, 1000)
	d.Jump(-56*365*24*hour, false) // as good as no clock
	within(hour, 941, 60)
	add(60, time.Minute)
	within(hour, 1001, 60)
	within(2*hour, 941, 120)
	d.Jump(56*365*24*hour, true)
	within(hour, 1001, 60)
	within(2*hour, 941, 120)

	// Of another boot it goes by what the clock showed.
	closed(t, j)
	d.Reboot(0)
	d.Pass(30 * time.Minute)
	j = open(t, dir, &Options{Clock: d.Clock})
	defer func() { closed(t, j) }()
	add(10, time.Minute)
	within(10*time.Minute, 1061, 10)
	within(30*time.Minute, 1061, 10)
	within(3*hour, 921, 90) // but for the hour without a clock
}

func TestDamagedRecord(t *testing.T) {
	for at := range len(encode(caption(1))) {
		r := caption(1)
		r.Seq = 9
		b := encode(r)
		if _, err := decode(key(9), b); err != nil {
			t.Fatal(err)
		}
		if _, err := decode(key(10), b); err == nil {
			t.Error("of another number")
		}
		if _, err := decode(key(9), b[:at]); err == nil {
			t.Errorf("%d bytes", at)
		}
		b[at] ^= 0x10
		if _, err := decode(key(9), b); err == nil {
			t.Errorf("byte %d", at)
		}
	}
}

// BenchmarkSearch searches a million records in the journal, then in its file without one, and checks
// that as a start after a power cut does.
func BenchmarkSearch(b *testing.B) {
	const n = 1e6
	dir, d := b.TempDir(), newDevice()
	j := open(b, dir, &Options{Clock: d.Clock, MaxBytes: 1 << 30, Delay: time.Hour})
	for i := range int(n) {
		r := caption(i)
		r.Data = []byte(`{"event":"caption","frame":123456,"views":["left","right"],"ms":{"vision":12.5,"encode":3.25,"decode":90}}`)
		j.Append(r)
		d.Pass(time.Second)
		if i%4096 == 0 {
			save(b, j)
		}
	}
	save(b, j)
	s := j.Status()
	b.Logf("%d records, %d MB", s.Records, s.Bytes>>20)
	cases := []struct {
		name string
		q    Query
	}{
		{"1h", Query{Within: time.Hour}},
		{"1h of 1e6, grep", Query{Within: time.Hour, Match: regexp.MustCompile(`red box is (left|right)`)}},
		{"1h of 1e6, grep any case", Query{Within: time.Hour, Match: regexp.MustCompile(`(?i)RED box is (left|right)`)}},
		{"1h of 1e6, grep nothing", Query{Within: time.Hour, Match: regexp.MustCompile(`cat`)}},
		{"all of 1e6, grep rare", Query{Match: regexp.MustCompile(`^99999\d: a red box`)}},
		{"all of 1e6, grep nothing", Query{Match: regexp.MustCompile(`cat`)}},
	}
	run := func(where string, found func(Query) int) {
		for _, c := range cases {
			b.Run(where+c.name, func(b *testing.B) {
				n := 0
				for b.Loop() {
					n = found(c.q)
				}
				b.ReportMetric(float64(n), "found")
			})
		}
	}
	run("", func(q Query) int { return len(find(b, j, q)) })
	closed(b, j)
	run("file, ", func(q Query) int {
		r, err := OpenReader(dir, d.Clock)
		if err != nil {
			b.Fatal(err)
		}
		return len(read(b, r, q))
	})
	b.Run("check", func(b *testing.B) {
		f, err := os.Open(filepath.Join(dir, fileName))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := checkFile(f, info.Size()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j := open(b, b.TempDir(), nil)
	defer closed(b, j)
	r := caption(1)
	for b.Loop() {
		j.Append(r)
	}
	save(b, j)
}
