//go:build amd64 || arm64

package seccomp

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call is a system call that waits for an answer, struct seccomp_notif.
type Call struct {
	ID    uint64
	TID   uint32 // of the thread
	flags uint32
	NR    int32
	arch  uint32
	_     uint64 // instruction pointer
	Args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// Instructions of filters.
const (
	Load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	Equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	Least = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	Above = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	Bits  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	Ret   = unix.BPF_RET | unix.BPF_K
)

// Low is where a filter loads the lower half of an argument from, struct seccomp_data; the
// upper half lies 4 behind, the number of the call at 0.
func Low(arg uint32) uint32 { return 16 + 8*arg }

// Install applies a filter to all threads of this process, for good, and returns the
// descriptor on which the calls are told of that it hands over. The error says why that
// cannot be: under emulation it is [unix.ENOSYS].
func Install(p []unix.SockFilter) (listener int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Tells emulators and old kernels from those that do not allow it.
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action))); e != 0 {
		return 0, fmt.Errorf("seccomp's notifications: %w", e)
	}
	if e := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); e != nil {
		return 0, fmt.Errorf("giving up new privileges: %w", e)
	}
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	// With the last flag, of Linux 5.19, no signal of Go's scheduler interrupts a call that
	// is being answered, which would be made again.
	for _, more := range []uintptr{unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 0} {
		fd, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags|more, uintptr(unsafe.Pointer(&prog)))
		if e == 0 {
			unix.CloseOnExec(int(fd))
			return int(fd), nil
		}
		if e != unix.EINVAL || more == 0 {
			return 0, fmt.Errorf("a seccomp filter: %w", e)
		}
	}
	panic("unreachable")
}

// Receive waits for a call. It can be interrupted: then there is none.
func Receive(listener int) (c Call, ok bool) {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&c)))
	return c, e == 0
}

// Pass lets the real kernel answer.
func (c *Call) Pass(listener int) {
	send(listener, &response{id: c.ID, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// Answer ends the call of that ID.
func Answer(listener int, id uint64, val int64, err unix.Errno) {
	send(listener, &response{id: id, val: val, err: -int32(err)})
}

func send(listener int, r *response) {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
	if e != 0 && !errors.Is(e, unix.ENOENT) { // ENOENT: it was interrupted
		panic(e)
	}
}

// Peek reads memory of a process; false: there is none at that address.
func Peek(pid int, addr uint64, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	local := unix.Iovec{Base: &b[0]}
	local.SetLen(len(b))
	n, err := unix.ProcessVMReadv(pid, []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
	return err == nil && n == len(b)
}

// Poke writes memory of a process, as [Peek] reads it.
func Poke(pid int, addr uint64, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	local := unix.Iovec{Base: &b[0]}
	local.SetLen(len(b))
	n, err := unix.ProcessVMWritev(pid, []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
	return err == nil && n == len(b)
}
