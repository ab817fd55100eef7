//go:build amd64 || arm64

package diskcalls

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/seccomp"
)

// Op is what a call does.
type Op string

// The operations. Calls to open a file are told of where it may be changed or made.
const (
	Open     Op = "open"
	Write    Op = "write"
	Truncate Op = "truncate"
	Sync     Op = "sync" // of a file or a folder
	Rename   Op = "rename"
	Remove   Op = "remove"
	Mkdir    Op = "mkdir"
	Print    Op = "print" // to the standard output, wherever that goes
)

// Call is a call that is about to be made.
type Call struct {
	Op   Op
	Path string // absolute
	To   string // of Rename
	Data []byte // of Write and Print
	At   int64  // where Data goes, -1 being where the file's position is; of Truncate the size
	Flag int    // of Open
}

func (c Call) String() string {
	return fmt.Sprintf("%s %s %s %d+%d", c.Op, c.Path, c.To, c.At, len(c.Data))
}

// calls that the filter hands over, all of them; of openat only those that may change
// something.
var calls = []uint32{
	unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_FTRUNCATE, unix.SYS_FSYNC, unix.SYS_FDATASYNC,
	unix.SYS_RENAMEAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT,
}

const changes = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC

func filter() []unix.SockFilter {
	p := []unix.SockFilter{{Code: seccomp.Load}}
	for _, nr := range calls {
		p = append(p,
			unix.SockFilter{Code: seccomp.Equal, Jf: 1, K: nr},
			unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	return append(p,
		unix.SockFilter{Code: seccomp.Equal, Jf: 3, K: unix.SYS_OPENAT},
		unix.SockFilter{Code: seccomp.Load, K: seccomp.Low(2)},
		unix.SockFilter{Code: seccomp.Bits, Jf: 1, K: changes},
		unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_USER_NOTIF},
		unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_ALLOW})
}

// understand says what a call does; false when it is about no file.
func understand(n *seccomp.Call) (c Call, ok bool) {
	pid, a := int(n.TID), n.Args
	c.At = -1
	switch n.NR {
	case unix.SYS_OPENAT:
		c.Op, c.Path, c.Flag = Open, pathAt(pid, a[0], a[1]), int(a[2])
	case unix.SYS_RENAMEAT:
		c.Op, c.Path, c.To = Rename, pathAt(pid, a[0], a[1]), pathAt(pid, a[2], a[3])
	case unix.SYS_UNLINKAT:
		c.Op, c.Path = Remove, pathAt(pid, a[0], a[1])
	case unix.SYS_MKDIRAT:
		c.Op, c.Path = Mkdir, pathAt(pid, a[0], a[1])
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		c.Op, c.Path = Sync, pathOf(pid, a[0])
	case unix.SYS_FTRUNCATE:
		c.Op, c.Path, c.At = Truncate, pathOf(pid, a[0]), int64(a[1])
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		c.Op, c.Path = Write, pathOf(pid, a[0])
		if n.NR == unix.SYS_PWRITE64 {
			c.At = int64(a[3])
		} else if a[0] == 1 {
			c.Op = Print
		}
		if c.Op == Print || filepath.IsAbs(c.Path) {
			c.Data = make([]byte, min(a[2], 1<<24))
			if !seccomp.Peek(pid, a[1], c.Data) {
				return c, false // EFAULT
			}
		}
	}
	return c, c.Op == Print || filepath.IsAbs(c.Path)
}

// pathOf is the path of a descriptor, not absolute for sockets and the like.
func pathOf(pid int, fd uint64) string {
	p, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, int32(fd)))
	if err != nil {
		return ""
	}
	return p
}

// pathAt is the path that a call names.
func pathAt(pid int, dir, addr uint64) string {
	p := text(pid, addr)
	switch {
	case filepath.IsAbs(p):
		return filepath.Clean(p)
	case int32(dir) == unix.AT_FDCWD:
		wd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		if err != nil {
			return ""
		}
		return filepath.Join(wd, p)
	}
	return filepath.Join(pathOf(pid, dir), p)
}

// text reads a string of C, which may end where its page does.
func text(pid int, addr uint64) string {
	var s []byte
	for len(s) < unix.PathMax {
		b := make([]byte, 256-addr%256)
		if !seccomp.Peek(pid, addr, b) {
			return ""
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return string(append(s, b[:i]...))
		}
		s = append(s, b...)
		addr += uint64(len(b))
	}
	return ""
}
