//go:build amd64 || arm64

package fakev4l2

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where descriptors and mappings of cameras are, for the filter to know them by.
const (
	firstFD, endFD = 512, 1024
	slotSize       = 4 << 20 // of one mapping
	slots          = 256
	regionSize     = slots * slotSize // a power of two below 4 GiB
)

// notification is struct seccomp_notif.
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	_          uint64 // instruction pointer
	args       [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// kernel answers the calls of this process. All is done on one thread, which makes no call
// that the filter would hand to it.
type kernel struct {
	listener int
	epoll    int
	wake     int     // an eventfd
	region   uintptr // where cameras are mapped
	tid      int     // of the answering thread

	mu      sync.Mutex
	paths   map[string]*Camera
	files   map[int]*file
	mapped  [slots]*device
	cameras map[*Camera]struct{} // plugged in
	stocks  map[string]*stock
}

var installed *kernel

// Install hands the calls of this process to this package, once and for ever. The error
// says why that cannot be: under emulation it is [unix.ENOSYS].
func Install() error {
	if installed != nil {
		return nil
	}
	k := &kernel{paths: map[string]*Camera{}, files: map[int]*file{}, cameras: map[*Camera]struct{}{}, stocks: map[string]*stock{}}
	// Twice the size holds a multiple of the size, and that is within one 4 GiB, of which
	// the filter compares the halves of addresses.
	at, err := mmap(0, 2*regionSize, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE, -1, 0)
	if err != 0 {
		return fmt.Errorf("address space for mappings: %w", err)
	}
	k.region = (at + regionSize - 1) &^ (regionSize - 1)
	var e error
	if k.epoll, e = unix.EpollCreate1(unix.EPOLL_CLOEXEC); e != nil {
		return e
	}
	if k.wake, e = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); e != nil {
		return e
	}
	if k.listener, e = installFilter(k.filter()); e != nil {
		return e
	}
	for _, fd := range []int{k.listener, k.wake} {
		if e := unix.EpollCtl(k.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); e != nil {
			panic(e) // calls would wait for ever
		}
	}
	installed = k
	ready := make(chan struct{})
	go k.run(ready)
	<-ready
	return nil
}

// filter is the program that chooses the calls to be handed over.
func (k *kernel) filter() []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		least = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		above = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
	)
	low := func(arg uint32) uint32 { return 16 + 8*arg } // offsets in struct seccomp_data
	var p []unix.SockFilter
	// within hands over the call nr when one half of an argument is from lo to hi.
	within := func(nr uint32, lo, hi uint32, offset uint32, high ...unix.SockFilter) {
		body := append(high,
			unix.SockFilter{Code: load, K: offset},
			unix.SockFilter{Code: least, Jf: 2, K: lo},
			unix.SockFilter{Code: above, Jt: 1, K: hi},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
		p = append(p, unix.SockFilter{Code: equal, Jf: uint8(len(body)), K: nr})
		p = append(p, body...)
	}
	p = append(p, unix.SockFilter{Code: load})
	for _, nr := range []uint32{unix.SYS_OPENAT, sysFstatat, unix.SYS_PPOLL} {
		p = append(p,
			unix.SockFilter{Code: equal, Jf: 1, K: nr},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	within(unix.SYS_IOCTL, firstFD, endFD-1, low(0))
	within(unix.SYS_CLOSE, firstFD, endFD-1, low(0))
	within(unix.SYS_MMAP, firstFD, endFD-1, low(4))
	lo := uint32(k.region)
	within(unix.SYS_MUNMAP, lo, lo+regionSize-1, low(0),
		unix.SockFilter{Code: load, K: low(0) + 4},
		unix.SockFilter{Code: equal, Jf: 4, K: uint32(k.region >> 32)})
	return append(p, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}

// installFilter applies a program to all threads and returns the descriptor on which the
// calls are told of.
func installFilter(p []unix.SockFilter) (int, error) {
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

// run answers for ever.
func (k *kernel) run(ready chan<- struct{}) {
	runtime.LockOSThread()
	k.tid = unix.Gettid()
	close(ready)
	events := make([]unix.EpollEvent, 2)
	for {
		k.mu.Lock()
		next := k.tick(time.Now())
		k.mu.Unlock()
		wait := -1
		if !next.IsZero() {
			wait = max(0, int((time.Until(next)+time.Millisecond-1)/time.Millisecond))
		}
		n, err := unix.EpollWait(k.epoll, events, wait)
		if err != nil && err != unix.EINTR {
			panic(err)
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == k.listener {
				k.receive()
			} else {
				var count [8]byte
				unix.Read(k.wake, count[:])
			}
		}
	}
}

// poke makes run look at what has changed.
func (k *kernel) poke() { unix.Write(k.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// receive takes one call and answers it, or keeps it to be answered later.
func (k *kernel) receive() {
	var n notification
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(k.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); e != 0 {
		return // it was interrupted
	}
	// A program that a test started has the filter too, and memory of its own.
	if unix.Tgkill(unix.Getpid(), int(n.pid), 0) != nil {
		k.pass(n.id)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.understand(&n)
	if !ok {
		k.pass(n.id)
		return
	}
	k.serve(c)
}

// pass lets the real kernel answer.
func (k *kernel) pass(id uint64) {
	k.send(&response{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

func (k *kernel) answer(id uint64, val int64, err unix.Errno) {
	k.send(&response{id: id, val: val, err: -int32(err)})
}

func (k *kernel) send(r *response) {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(k.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
	if e != 0 && !errors.Is(e, unix.ENOENT) { // ENOENT: it was interrupted
		panic(e)
	}
}

// The memory of the caller is that of this process, but what is at an address is its
// affair: these fail where nothing is.

func peek(addr uint64, b []byte) bool {
	local := unix.Iovec{Base: &b[0]}
	local.SetLen(len(b))
	n, err := unix.ProcessVMReadv(unix.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
	return err == nil && n == len(b)
}

func poke(addr uint64, b []byte) bool {
	local := unix.Iovec{Base: &b[0]}
	local.SetLen(len(b))
	n, err := unix.ProcessVMWritev(unix.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
	return err == nil && n == len(b)
}

// peekPath reads a string of C that is no longer than any path of a camera.
func peekPath(addr uint64) string {
	var b [64]byte
	for i := range b {
		if !peek(addr+uint64(i), b[i:i+1]) || b[i] == 0 {
			return string(b[:i])
		}
	}
	return ""
}

func mmap(addr uintptr, size, prot, flags, fd int, offset int64) (uintptr, unix.Errno) {
	at, _, e := unix.Syscall6(unix.SYS_MMAP, addr, uintptr(size), uintptr(prot), uintptr(flags), uintptr(fd), uintptr(offset))
	return at, e
}

// CPUTime is the processor time that the answers took: what the kernel and the camera would
// have done. It is part of the time of the process.
func CPUTime() (time.Duration, error) {
	var ts unix.Timespec
	// The clock of a thread, MAKE_THREAD_CPUCLOCK of linux/posix-timers.h.
	err := unix.ClockGettime(int32(^installed.tid<<3|6), &ts)
	return time.Duration(ts.Nano()), err
}
