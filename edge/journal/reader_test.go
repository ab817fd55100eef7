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

	"go.etcd.io/bbolt"

	"github.com/visualrwkv/edged/internal/hostile"
)

// read returns the sequence numbers that a reader finds.
func read(t testing.TB, r *Reader, q Query) (seqs []uint64) {
	t.Helper()
	for rec, err := range r.Search(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, rec.Seq)
	}
	return seqs
}

// TestReader finds what the journal does, and nothing while that is open.
func TestReader(t *testing.T) {
	dir, d := t.TempDir(), newDevice()
	j := open(t, dir, &Options{Clock: d.Clock})
	if _, err := OpenReader(filepath.Join(dir, "none"), d.Clock); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for i := range 9000 {
		j.Append(caption(i))
		d.Pass(time.Second)
	}
	save(t, j)
	if _, err := OpenReader(dir, d.Clock); !errors.Is(err, ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	d.Pass(time.Minute)
	queries := []Query{{}, {From: 700, To: 8500}, {Within: time.Hour}, {Scene: "scene 1"}, {Within: time.Second}}
	var want [][]uint64
	for _, q := range queries {
		want = append(want, find(t, j, q))
	}
	closed(t, j)
	before := snapshotDir(t, dir)
	r, err := OpenReader(dir, d.Clock)
	if err != nil || r.Damaged() != nil {
		t.Fatalf("%v, %v", err, r.Damaged())
	}
	for i, q := range queries {
		if got := read(t, r, q); !slices.Equal(got, want[i]) {
			t.Errorf("%+v: %d found, want %d", q, len(got), len(want[i]))
		}
	}
	if after := snapshotDir(t, dir); !slices.Equal(before, after) {
		t.Error("reading changed the folder")
	}
	// Whoever opens the journal gets it, and the search says so.
	n := 0
	var last error
	for _, err := range r.Search(t.Context(), Query{}) {
		if n++; n == 1 {
			j = open(t, dir, &Options{Clock: d.Clock})
			defer closed(t, j)
			if s := j.Status(); s.Error != "" {
				t.Error(s.Error)
			}
		}
		last = err
	}
	if n != findAtOnce+1 || !errors.Is(last, ErrInUse) {
		t.Errorf("%d found, then %v", n, last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range r.Search(ctx, Query{}) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// snapshotDir lists names, sizes and times of the files of a folder.
func snapshotDir(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Name(), info.ModTime().String(), info.Mode().String())
	}
	return all
}

// TestSalvage: of a damaged file every record is found that is whole by itself.
func TestSalvage(t *testing.T) {
	whole := logFile(t)
	path := filepath.Join(t.TempDir(), "log.db.damaged-1")
	salvaged := func(b []byte, q Query) (*Reader, []uint64) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := OpenReader(path, newDevice().Clock)
		if err != nil {
			t.Fatal(err)
		}
		return r, read(t, r, q)
	}
	_, all := salvaged(whole, Query{})
	last := all[len(all)-1]
	b := slices.Clone(whole)
	clear(b[:2*pageSize]) // both heads
	r, got := salvaged(b, Query{})
	if r.Damaged() == nil || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("without heads: %v, %v", r.Damaged(), got)
	}
	for _, seq := range all { // and deleted ones
		if _, ok := slices.BinarySearch(got, seq); !ok {
			t.Errorf("without heads: %d is not found", seq)
		}
	}
	if _, got := salvaged(b, Query{From: last - 20, To: last - 5}); len(got) != 16 {
		t.Errorf("by number: %v", got)
	}
	if _, got := salvaged(b, Query{Within: time.Hour, Scene: "scene 1"}); len(got) == 0 {
		t.Error("by age and scene: nothing")
	}
	// Small buckets lie within the root's page.
	dir, few := t.TempDir(), newDevice()
	j := open(t, dir, &Options{Clock: few.Clock})
	j.Append(caption(1))
	j.Append(caption(2))
	closed(t, j)
	small, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	clear(small[:2*pageSize])
	if r, got := salvaged(small, Query{}); r.Damaged() == nil || !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("small: %v, %v", r.Damaged(), got)
	}
	// A database of whole pages that is none of a log.
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	empty, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if r, got := salvaged(empty, Query{}); r.Damaged() == nil || got != nil {
		t.Errorf("without buckets: %v, %v", r.Damaged(), got)
	}
	// Whatever the damage, it ends, and what is found is true.
	rng := rand.New(rand.NewPCG(7, 8))
	for range 100 {
		r, got := salvaged(hostile.Damage(rng, whole, bombs...), Query{})
		for _, seq := range got {
			if seq == 0 || seq > last {
				t.Fatalf("%v: found %d", r.Damaged(), seq)
			}
		}
	}
}
