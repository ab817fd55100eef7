package journal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
)

// TestTree: wherever a cursor goes, it finds what bbolt's does.
func TestTree(t *testing.T) {
	for _, n := range []int{0, 3, 40, 20_000} { // no page of its own, one, and trees of two and three levels
		path := filepath.Join(t.TempDir(), fileName)
		if err := createStore(path); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(path, true)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		err = s.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(recordsName)
			for i := range n {
				if err := b.Put(key(uint64(2*i+10)), fmt.Append(nil, i, bytes.Repeat([]byte("x"), i%97))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		of, err := openTree(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		err = s.read(func(tx *bbolt.Tx) error {
			sameCursor(t, n, of.cursor(recordsName), tx.Bucket(recordsName).Cursor())
			return of.err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func sameCursor(t *testing.T, n int, got, want cursor) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	move := func(name string, f func(cursor) (k, v []byte)) bool {
		k, v := f(got)
		wk, wv := f(want)
		if !bytes.Equal(k, wk) || !bytes.Equal(v, wv) {
			t.Fatalf("%d records: %s: %x %q, want %x %q", n, name, k, v, wk, wv)
		}
		return wk != nil
	}
	ahead := cursor.Next
	for range 300 {
		to := key(rng.Uint64N(uint64(2*n + 20)))
		there := move(fmt.Sprintf("seek %x", to), func(c cursor) (k, v []byte) { return c.Seek(to) })
		way := ahead
		switch rng.IntN(4) {
		case 0:
			there = move("last", cursor.Last)
			way = cursor.Prev
		case 1:
			way = cursor.Prev
		}
		if !there { // behind the last is where searches go back from
			move("back from the end", cursor.Prev)
			continue
		}
		for range 200 {
			if !move("step", way) {
				break
			}
		}
	}
	count := 0
	for there := move("first", func(c cursor) (k, v []byte) { return c.Seek(key(0)) }); there; there = move("next", cursor.Next) {
		count++
	}
	if count != n {
		t.Errorf("%d, want %d", count, n)
	}
}

// TestReaderReadsLittle: what a search does not come to may be damaged, and is not missed; from
// what it comes to on it finds the rest by itself, nothing twice.
func TestReaderReadsLittle(t *testing.T) {
	dir, d := t.TempDir(), newDevice()
	j := open(t, dir, &Options{Clock: d.Clock})
	const n = 3000
	for i := range n {
		j.Append(caption(i))
	}
	closed(t, j)
	path := filepath.Join(dir, fileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte(text(1500))) / pageSize * pageSize
	spoiled := 0
	for i := range n {
		if bytes.Contains(b[at:at+pageSize], []byte(text(i))) {
			spoiled++
		}
	}
	clear(b[at : at+pageSize])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q     Query
		want  int
		wrong bool
	}{
		{Query{From: 2000}, n - 1999, false},
		{Query{To: 1000}, 1000, false},
		{Query{}, n - spoiled, true}, // and what older copies of the page hold
		{Query{Scene: "scene 1", From: 2000}, 334, false},
	} {
		r, err := OpenReader(dir, d.Clock)
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, r, c.q)
		if len(got) < c.want || len(got) > c.want && (!c.wrong || len(got) > n) || !slices.IsSorted(got) || len(slices.Compact(got)) != len(got) {
			t.Errorf("%+v: %d found, want %d", c.q, len(got), c.want)
		}
		if wrong := r.Damaged() != nil; wrong != c.wrong {
			t.Errorf("%+v: %v", c.q, r.Damaged())
		}
	}
}
