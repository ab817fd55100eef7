//go:build amd64 || arm64

package fakev4l2

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/seccomp"
)

// Where descriptors and mappings of cameras are, for the filter to know them by.
const (
	firstFD, endFD = 512, 1024
	slotSize       = 4 << 20 // of one mapping
	slots          = 256
	regionSize     = slots * slotSize // a power of two below 4 GiB
)

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
	if k.listener, e = seccomp.Install(k.filter()); e != nil {
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
	var p []unix.SockFilter
	// within hands over the call nr when one half of an argument is from lo to hi.
	within := func(nr uint32, lo, hi uint32, offset uint32, high ...unix.SockFilter) {
		body := append(high,
			unix.SockFilter{Code: seccomp.Load, K: offset},
			unix.SockFilter{Code: seccomp.Least, Jf: 2, K: lo},
			unix.SockFilter{Code: seccomp.Above, Jt: 1, K: hi},
			unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_USER_NOTIF},
			unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_ALLOW})
		p = append(p, unix.SockFilter{Code: seccomp.Equal, Jf: uint8(len(body)), K: nr})
		p = append(p, body...)
	}
	p = append(p, unix.SockFilter{Code: seccomp.Load})
	// Cameras are opened for reading and writing. The C library opens files for reading where
	// a thread begins; Go's scheduler waits for the thread then, and would wait for ever where
	// the answer needs a thread, too.
	p = append(p,
		unix.SockFilter{Code: seccomp.Equal, Jf: 4, K: unix.SYS_OPENAT},
		unix.SockFilter{Code: seccomp.Load, K: seccomp.Low(2)},
		unix.SockFilter{Code: seccomp.Bits, Jf: 1, K: unix.O_RDWR},
		unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_USER_NOTIF},
		unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_ALLOW})
	for _, nr := range []uint32{sysFstatat, unix.SYS_PPOLL} {
		p = append(p,
			unix.SockFilter{Code: seccomp.Equal, Jf: 1, K: nr},
			unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	within(unix.SYS_IOCTL, firstFD, endFD-1, seccomp.Low(0))
	within(unix.SYS_CLOSE, firstFD, endFD-1, seccomp.Low(0))
	within(unix.SYS_MMAP, firstFD, endFD-1, seccomp.Low(4))
	lo := uint32(k.region)
	within(unix.SYS_MUNMAP, lo, lo+regionSize-1, seccomp.Low(0),
		unix.SockFilter{Code: seccomp.Load, K: seccomp.Low(0) + 4},
		unix.SockFilter{Code: seccomp.Equal, Jf: 4, K: uint32(k.region >> 32)})
	return append(p, unix.SockFilter{Code: seccomp.Ret, K: unix.SECCOMP_RET_ALLOW})
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
	n, ok := seccomp.Receive(k.listener)
	if !ok {
		return
	}
	// A program that a test started has the filter too, and memory of its own.
	if unix.Tgkill(unix.Getpid(), int(n.TID), 0) != nil {
		n.Pass(k.listener)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.understand(&n)
	if !ok {
		n.Pass(k.listener)
		return
	}
	k.serve(c)
}

func (k *kernel) answer(id uint64, val int64, err unix.Errno) {
	seccomp.Answer(k.listener, id, val, err)
}

// The memory of the caller is that of this process, but what is at an address is its
// affair: these fail where nothing is.

func peek(addr uint64, b []byte) bool { return seccomp.Peek(unix.Getpid(), addr, b) }

func poke(addr uint64, b []byte) bool { return seccomp.Poke(unix.Getpid(), addr, b) }

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
