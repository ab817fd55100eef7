package journal

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/hostile"
)

// bombs mean much in a page: flags, page numbers, counts and sizes.
var bombs = []string{
	"\x01\x00", "\x02\x00", "\x10\x00", "\xff\xff", "\xff\xff\xff\xff", "\x03\x00\x00\x00\x00\x00\x00\x00",
	"\x00\x00\x00\x00\x01\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\x7f",
}

// logFile is a log as it is on disk: trees of two levels, free pages, several boots.
func logFile(t testing.TB) []byte {
	t.Helper()
	dir, d := t.TempDir(), newDevice()
	j := open(t, dir, &Options{Clock: d.Clock, MaxBytes: 40 << 10})
	for i := range 700 {
		j.Append(caption(i))
		if i%300 == 0 {
			d.Reboot(0)
			save(t, j)
		}
	}
	closed(t, j)
	b, err := os.ReadFile(filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tryFile opens a journal whose file is b. Whatever it is, the journal works.
func tryFile(t testing.TB, dir string, b []byte) (kinds string, found int) {
	path := filepath.Join(dir, "log.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(path, newDevice().Clock)
	if err != nil {
		t.Fatal(err)
	}
	if seqs := read(t, r, Query{}); !slices.IsSorted(seqs) {
		t.Errorf("read without a journal: %v", seqs)
	}
	var said reports
	j := open(t, dir, &Options{Report: said.add, MaxBytes: 40 << 10})
	defer j.Close()
	for _, err := range j.Search(context.Background(), Query{}) {
		if err != nil {
			break
		}
		found++
	}
	seq := j.Append(caption(1))
	for try := 0; ; try++ {
		err := j.Sync(context.Background())
		if err == nil {
			break
		}
		if _, bad := errors.AsType[damage](err); !bad || try > 1000 {
			t.Fatal(err)
		}
	}
	if seq == 0 { // not known until what is whole was looked through
		seq = j.Next() - 1
	}
	if got := find(t, j, Query{From: seq}); len(got) != 1 || got[0] != seq {
		t.Errorf("%v, want %d", got, seq)
	}
	return said.kinds(), found
}

func TestDamagedFile(t *testing.T) {
	whole := logFile(t)
	dir := t.TempDir()
	m, err := openMark(filepath.Join(dir, markName))
	if err == nil {
		err = m.write(10_000, false)
		m.close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if kinds, found := tryFile(t, dir, whole); kinds != "" || found < 300 {
		t.Fatalf("whole: %q, %d found", kinds, found)
	}
	crashed := func() { // so that the file is checked
		m, err := openMark(filepath.Join(dir, "log.mark"))
		if err != nil {
			t.Fatal(err)
		}
		defer m.close()
		if err := m.write(m.next, false); err != nil {
			t.Fatal(err)
		}
	}
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	rng := rand.New(rand.NewPCG(5, 6))
	aside := 0
	for i := range rounds {
		crashed()
		b := append([]byte(nil), whole...)
		if i%2 == 0 { // noise of one page
			at := rng.IntN(len(b)/pageSize) * pageSize
			copy(b[at:], hostile.Damage(rng, b[at:at+pageSize], bombs...))
		} else {
			b = hostile.Damage(rng, b, bombs...)
		}
		if kinds, _ := tryFile(t, dir, b); kinds != "" {
			aside++
		}
	}
	if aside == 0 || aside == rounds {
		t.Errorf("%d of %d moved aside", aside, rounds)
	}
	t.Logf("%d of %d moved aside", aside, rounds)
	kept, err := filepath.Glob(filepath.Join(dir, "log.db.damaged-*"))
	if err != nil || len(kept) != 1 {
		t.Errorf("%d damaged files are kept, %v", len(kept), err)
	}
}

// FuzzFile: whatever a stretch of the file is, the check ends, and what it lets through
// bbolt reads and writes.
func FuzzFile(f *testing.F) {
	whole := logFile(f)
	for i, bomb := range bombs {
		f.Add(uint32(i*pageSize+pageHead), []byte(bomb))
	}
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		b := append([]byte(nil), whole...)
		copy(b[at%uint32(len(b)):], patch)
		tryFile(t, t.TempDir(), b)
	})
}

// TestCarriedOver: of a log of which one page is spoiled, the rest is found afterwards, in
// order and beside what comes new, and numbers go on.
func TestCarriedOver(t *testing.T) {
	dir := t.TempDir()
	const n = 3000
	j := open(t, dir, &Options{})
	for i := range n {
		j.Append(caption(i))
		if i%500 == 0 {
			save(t, j)
		}
	}
	save(t, j)
	crash(t, j)
	path := filepath.Join(dir, fileName)
	spoil := func(at int) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		spoilt := 0
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := leaves(t.Context(), f, func(at int64, p []byte) bool {
			if places := recordsOf(at, p, nil); len(places) > 3 {
				spoilt = int(at)
			}
			return spoilt < len(b)/2
		}); err != nil {
			t.Fatal(err)
		}
		copy(b[spoilt:], "spoilt page, all of its head")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 3 {
		spoil(round)
		if round == 2 { // and the mark: how far numbers went is known from the records alone
			if err := os.Remove(filepath.Join(dir, "log.mark")); err != nil {
				t.Fatal(err)
			}
		}
		var said reports
		j = open(t, dir, &Options{Report: said.add})
		next := j.Append(caption(n))
		save(t, j)
		got := find(t, j, Query{})
		last := got[len(got)-1]
		if next == 0 { // the mark did not tell
			next = last
		}
		if last != next || last <= n || len(got) < n-(round+1)*100 || len(got) > n-(round+1)*10 || !slices.IsSorted(got) {
			t.Errorf("%d found of %d, the last %d, which was given %d", len(got), n, last, next)
		}
		if within := find(t, j, Query{Within: time.Hour}); len(within) != len(got) {
			t.Errorf("%d of them of the last hour", len(within))
		}
		if s := j.Status(); s.Records != int64(len(got)) || s.First != got[0] || s.Error != "" {
			t.Errorf("%+v", s)
		}
		told := ReportDamaged
		if round == 2 {
			told += " " + ReportNumbers
		}
		said.await(t, told)
		crash(t, j)
	}
	kept, err := filepath.Glob(path + ".damaged-*")
	if err != nil || len(kept) != 1 {
		t.Errorf("%q are kept, %v", kept, err)
	}
}
