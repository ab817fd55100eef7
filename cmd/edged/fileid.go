package main

import (
	"crypto/sha256"
	"io"
	"os"
	"syscall"
)

// fileID tells a file from another that has taken its name, and from itself once it was written to; the zero one is of none.
type fileID struct {
	device, inode uint64
	size          int64
	modified      int64 // nanoseconds
}

// identify looks at the file at path.
func identify(path string) fileID {
	info, err := os.Stat(path)
	if err != nil {
		return fileID{}
	}
	id := fileID{size: info.Size(), modified: info.ModTime().UnixNano()}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		id.device, id.inode = uint64(s.Dev), s.Ino
	}
	return id
}

// touched reports whether nothing but the time of now is not that of before.
func (now fileID) touched(before fileID) bool {
	changed := now != before
	before.modified = now.modified
	return changed && now == before
}

// Of a file, which may have gigabytes, its head is looked at, where a model's description is, and pieces of the rest.
const (
	sampleHead  = 4 << 20
	samplePiece = 4 << 10
	samples     = 1024
)

// sample returns a sum of what a file of that size holds: of all of it up to 8 MiB.
func sample(path string, size int64) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	head := int64(sampleHead)
	if size <= sampleHead+samples*samplePiece {
		head = size
	}
	if _, err := io.CopyN(h, f, head); err != nil {
		return sum, err
	}
	if rest := size - head; rest > 0 {
		var piece [samplePiece]byte
		for i := range int64(samples) {
			if _, err := f.ReadAt(piece[:], head+(rest-samplePiece)/(samples-1)*i); err != nil {
				return sum, err
			}
			h.Write(piece[:])
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// changedInPlace reports whether now is what was written into the file that before was.
func (now fileID) changedInPlace(before fileID) bool {
	return now != before && now.inode != 0 && now.device == before.device && now.inode == before.inode
}
