package main

import (
	"os"
	"syscall"
)

// fileID tells a file from another that has taken its name, and from itself once it was written to; the zero one is of none. What
// a file holds is not looked at: it may have gigabytes.
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

// changedInPlace reports whether now is what was written into the file that before was.
func (now fileID) changedInPlace(before fileID) bool {
	return now != before && now.inode != 0 && now.device == before.device && now.inode == before.inode
}
