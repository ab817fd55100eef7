package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/disk"
)

// mark says how far sequence numbers may have gone. It is two slots, written in
// turn and far enough apart that one write cannot damage both; the valid one with
// the higher turn counts. A slot, little-endian: a magic word, the turn, the number
// below which all may have been given, 1 if the log was closed in order and the
// number is exact, and the CRC-32C of those.
//
// Its lock keeps a second process out. Where [Options].Mark names one there are two: it takes the loss of
// both, and of every record, that numbers begin at 1 again.
type mark struct {
	f     *os.File
	turn  uint64
	next  uint64 // 0: not known
	clean bool
}

const (
	markMagic = "edgedseq"
	markSlot  = 8 + 8 + 8 + 8 + 4
	markApart = 4096
)

// ErrInUse says that another process has the journal.
var ErrInUse = errors.New("the log is in use by another process")

// openMark opens or makes the mark at path, for reading only where nothing else is
// possible; write will fail then.
func openMark(path string) (*mark, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSPC) {
		if ro, err := os.Open(path); err == nil {
			return readMark(ro)
		}
	}
	if err != nil {
		return nil, err
	}
	return readMark(f)
}

func readMark(f *os.File) (*mark, error) {
	m := &mark{f: f}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	for i := range int64(2) {
		var b [markSlot]byte
		switch _, err := f.ReadAt(b[:], i*markApart); {
		case err == io.EOF:
			continue
		case err != nil:
			f.Close()
			return nil, err
		}
		u64 := binary.LittleEndian.Uint64
		turn := u64(b[8:])
		if string(b[:8]) != markMagic || binary.LittleEndian.Uint32(b[32:]) != crc32.Checksum(b[:32], castagnoli) || turn < m.turn {
			continue
		}
		m.turn, m.next, m.clean = turn, u64(b[16:]), u64(b[24:]) == 1
	}
	return m, nil
}

// write stores the mark and waits until it is on disk.
func (m *mark) write(next uint64, clean bool) error {
	b := append(make([]byte, 0, markSlot), markMagic...)
	b = binary.LittleEndian.AppendUint64(b, m.turn+1)
	b = binary.LittleEndian.AppendUint64(b, next)
	b = binary.LittleEndian.AppendUint64(b, map[bool]uint64{true: 1}[clean])
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := m.f.WriteAt(b, int64((m.turn+1)%2)*markApart); err != nil {
		return err
	}
	if err := m.f.Sync(); err != nil {
		return err
	}
	m.turn, m.next, m.clean = m.turn+1, next, clean
	if m.turn == 1 {
		return disk.OS.SyncDir(filepath.Dir(m.f.Name()))
	}
	return nil
}

// close lets the lock go.
func (m *mark) close() error { return m.f.Close() }

// marks are the mark in the journal's folder and the one elsewhere, if there is to be one. They
// say the same but for a moment, and for what a disk loses: the higher number counts.
type marks []*mark

// openMarks opens or makes the marks at paths.
func openMarks(paths ...string) (all marks, err error) {
	for _, path := range paths {
		m, err := openMark(path)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// next is the number below which all may have been given, 0 if none of the marks knows.
func (all marks) next() (next uint64) {
	for _, m := range all {
		next = max(next, m.next)
	}
	return next
}

// clean reports whether the log was closed in order.
func (all marks) clean() bool {
	return all[0].clean && all[0].next == all.next()
}

func (all marks) write(next uint64, clean bool) error {
	for _, m := range all {
		if err := m.write(next, clean); err != nil {
			return err
		}
	}
	return nil
}

func (all marks) close() {
	for _, m := range all {
		m.close() // what was written is safe
	}
}
