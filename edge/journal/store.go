package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/internal/disk"
)

var (
	recordsName = []byte("records")
	blocksName  = []byte("blocks")
	bootsName   = []byte("boots")
	sumsName    = []byte("sums")
	budgetName  = []byte("budget") // in sums
)

// blockSize is how many sequence numbers share an entry of the index by time.
const blockSize = 256

// store is the open file. One goroutine writes, any number read.
type store struct {
	db   *bbolt.DB
	file *os.File // bbolt's
}

// openStore opens the file at path, or makes it. Unless trust is set the file is
// checked first. An error of type damage says that it cannot be used and will not
// get better; any other may pass. Where the disk cannot be written it is opened for
// reading and commit fails.
func openStore(path string, trust bool) (*store, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Size() == 0: // bbolt would begin it in place, which a power cut can spoil
		if err := createStore(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case !trust:
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		err = checkFile(f, info.Size())
		f.Close() // only read
		if err != nil {
			return nil, err
		}
	}
	s, err := bolt(path, false)
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) {
		s, err = bolt(path, true)
	}
	if err != nil {
		return nil, err
	}
	err = s.read(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{recordsName, blocksName, bootsName, sumsName} {
			if tx.Bucket(name) == nil {
				return damaged("it has no bucket %s", name)
			}
		}
		return nil
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// temporary is what a file is called until it is whole.
const temporary = ".new"

// createStore makes the file under another name first, so that it is whole or not
// there.
func createStore(path string) error {
	if err := buildStore(path+temporary, func(*store) error { return nil }); err != nil {
		return err
	}
	return putInPlace(path)
}

// buildStore makes a file that fill fills, or none.
func buildStore(path string, fill func(*store) error) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s, err := bolt(path, false)
	if err != nil {
		return err
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{recordsName, blocksName, bootsName, sumsName} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = fill(s)
	}
	if err = errors.Join(err, s.db.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// putInPlace gives what buildStore made its name.
func putInPlace(path string) error {
	if err := os.Rename(path+temporary, path); err != nil {
		return err
	}
	return disk.OS.SyncDir(filepath.Dir(path))
}

// growth is by how much the file grows. Tests have it do so more often.
var growth = 1 << 20

// bolt opens the file at path with bbolt.
func bolt(path string, readOnly bool) (*store, error) {
	s := new(store)
	o := &bbolt.Options{
		Timeout: time.Second, PageSize: pageSize, FreelistType: bbolt.FreelistMapType, ReadOnly: readOnly,
		OpenFile: func(name string, flag int, mode fs.FileMode) (f *os.File, err error) {
			s.file, err = os.OpenFile(name, flag, mode)
			return s.file, err
		},
	}
	err := guard(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, o)
		return err
	})
	switch {
	case err == nil:
		s.db.AllocSize = growth
		return s, nil
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		err = damaged("%v", err)
	}
	if s.file != nil {
		s.file.Close() // bbolt has, unless it panicked
	}
	return nil, err
}

// guard turns what bbolt does with a damaged file, panics and faults outside its
// mapping, into an error of type damage.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged("%v", p)
		}
	}()
	return f()
}

// read runs f with a view of the file.
func (s *store) read(f func(*bbolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}

// write runs f and commits what it did, with an fsync. written are the bytes that were
// handed to the disk for it: each page that changed, and a head.
func (s *store) write(f func(*bbolt.Tx) error) (written int64, err error) {
	pages := func() int64 {
		stats := s.db.Stats()
		return stats.TxStats.GetPageAlloc()
	}
	err = guard(func() error {
		before := pages()
		defer func() { written = pages() - before + pageSize }()
		return s.db.Update(f)
	})
	return written, err
}

func (s *store) close() error {
	return guard(s.db.Close)
}

// abandon lets go of a file whose locks a panic may have left held: closing it
// the usual way could wait for ever. Its mapping stays.
func (s *store) abandon() { s.file.Close() }

// sums are kept with each commit, so that nothing has to be counted.
type sums struct {
	first   uint64 // sequence number, 0: no record
	records int64
	bytes   int64 // that records take in their pages
}

// state returns the newest sequence number in the file, 0 if there is none, the sums, and
// what [budget.encode] returned for the newest commit.
func (s *store) state() (last uint64, sum sums, spent []byte, err error) {
	err = s.read(func(tx *bbolt.Tx) error {
		if k, _ := tx.Bucket(recordsName).Cursor().Last(); len(k) == 8 {
			last = binary.BigEndian.Uint64(k)
		}
		sum, spent = readSums(tx), slices.Clone(tx.Bucket(sumsName).Get(budgetName))
		return nil
	})
	return last, sum, spent, err
}

func readSums(tx *bbolt.Tx) (sum sums) {
	if k, _ := tx.Bucket(recordsName).Cursor().First(); len(k) == 8 {
		sum.first = binary.BigEndian.Uint64(k)
	}
	if v := tx.Bucket(sumsName).Get(recordsName); len(v) == 16 {
		sum.records = int64(binary.LittleEndian.Uint64(v))
		sum.bytes = int64(binary.LittleEndian.Uint64(v[8:]))
	}
	return sum
}

func writeSums(tx *bbolt.Tx, sum sums) error {
	v := binary.LittleEndian.AppendUint64(nil, uint64(sum.records))
	return tx.Bucket(sumsName).Put(recordsName, binary.LittleEndian.AppendUint64(v, uint64(sum.bytes)))
}

// footprint is what a value takes in a page.
func footprint(value []byte) int64 { return elementSize + 8 + int64(len(value)) }

// add puts records, which are in order and newer than those in the file.
func add(tx *bbolt.Tx, batch []*Record) error {
	records, boots := tx.Bucket(recordsName), tx.Bucket(bootsName)
	records.FillPercent, tx.Bucket(blocksName).FillPercent = 1, 1 // nothing is ever put in between
	sum := readSums(tx)
	_, boot := boots.Cursor().Last()
	for _, r := range batch {
		if string(boot) != string(r.Time.Boot[:]) {
			boot = append([]byte(nil), r.Time.Boot[:]...)
			if err := boots.Put(key(r.Seq), boot); err != nil {
				return err
			}
		}
		k, value := key(r.Seq), encode(r)
		if old := records.Get(k); old != nil { // a commit that failed in its last step can have been made
			sum.records--
			sum.bytes -= footprint(old)
		}
		if err := records.Put(k, value); err != nil {
			return err
		}
		sum.records++
		sum.bytes += footprint(value)
	}
	if err := index(tx, batch); err != nil {
		return err
	}
	return writeSums(tx, sum)
}

// index widens the entries of the blocks of a batch.
func index(tx *bbolt.Tx, batch []*Record) error {
	for len(batch) > 0 {
		block := batch[0].Seq / blockSize
		wall, up := blockTimes(tx.Bucket(blocksName).Get(key(block)))
		n := 0
		for n < len(batch) && batch[n].Seq/blockSize == block {
			wall = max(wall, batch[n].Time.Wall.UnixMilli())
			up = max(up, batch[n].Time.Up.Milliseconds())
			n++
		}
		v := binary.LittleEndian.AppendUint64(nil, uint64(wall))
		v = binary.LittleEndian.AppendUint64(v, uint64(up))
		if err := tx.Bucket(blocksName).Put(key(block), v); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// blockTimes are the newest wall time and the longest time since boot of a block.
func blockTimes(v []byte) (wall, up int64) {
	if len(v) != 16 {
		return -1 << 63, -1 << 63
	}
	return int64(binary.LittleEndian.Uint64(v)), int64(binary.LittleEndian.Uint64(v[8:]))
}

// bootAt is the boot that a sequence number belongs to.
func bootAt(boots cursor, seq uint64) (b clock.Boot) {
	k, v := boots.Seek(key(seq))
	if k == nil || string(k) > string(key(seq)) {
		_, v = boots.Prev()
	}
	copy(b[:], v)
	return b
}

// moveAside gives a damaged file another name, so that it is kept for people to look at, and
// returns that; where links can be made it has its own beside it. Only the newest of those is kept.
func moveAside(path string, seq uint64) (string, error) {
	old, err := filepath.Glob(path + ".damaged-*")
	if err != nil {
		return "", err
	}
	for _, o := range old {
		if err := os.Remove(o); err != nil {
			return "", err
		}
	}
	aside := fmt.Sprintf("%s.damaged-%020d", path, seq)
	if os.Link(path, aside) != nil {
		if err := os.Rename(path, aside); err != nil {
			return "", err
		}
	}
	return aside, disk.OS.SyncDir(filepath.Dir(path))
}
