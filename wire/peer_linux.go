package wire

import (
	"net"
	"syscall"
	"unsafe"
)

// soPeerGroups is SO_PEERGROUPS of Linux 4.13, which package syscall lacks.
const soPeerGroups = 59

// peer asks the kernel who connected.
func peer(u *net.UnixConn) (p Peer, err error) {
	raw, err := u.SyscallConn()
	if err != nil {
		return p, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var c *syscall.Ucred
		if c, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); failed == nil {
			p = Peer{UID: c.Uid, GID: c.Gid, Groups: peerGroups(fd)}
		}
	})
	if err == nil {
		err = failed
	}
	return p, err
}

// peerGroups returns nil where the kernel is older, and for users in more groups
// than anybody is in.
func peerGroups(fd uintptr) []uint32 {
	groups := make([]uint32, 256)
	size := uint32(len(groups) * 4)
	_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soPeerGroups,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil
	}
	return groups[:size/4]
}
