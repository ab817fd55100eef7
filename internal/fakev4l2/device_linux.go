//go:build amd64 || arm64

package fakev4l2

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var le = binary.LittleEndian

// device is a camera as long as it is plugged in once.
type device struct {
	cam     *Camera
	backing int    // a file of memory: all buffers
	mem     []byte // of it; nil before the first buffers
	gone    bool
	format  Format
	every   time.Duration
	owner   *file // has buffers
	polls   []*call
	files   int
	maps    int
}

func newDevice(c *Camera) *device {
	fd, err := unix.MemfdCreate("video", unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	d := &device{cam: c, backing: fd, format: c.o.Formats[0]}
	d.every = interval(d.format, 0)
	return d
}

// release frees the memory of a device that is gone once nobody holds it.
func (d *device) release() {
	if !d.gone || d.files > 0 || d.maps > 0 {
		return
	}
	if d.mem != nil {
		unix.Munmap(d.mem)
	}
	unix.Close(d.backing)
}

// file is a descriptor of a device.
type file struct {
	fd     int
	dev    *device
	length int   // of a buffer
	total  int   // buffers
	queue  []int // buffers that wait to be filled
	done   []filled
	on     bool
	seq    uint32
	due    time.Time // of the next picture
	every  time.Duration
	stock  *stock
	drawn  []bool // buffers that the stock has written to
}

// filled is a buffer with a picture.
type filled struct {
	index, bytes int
	seq          uint32
	at           unix.Timespec
	damaged      bool
}

// do answers a call other than poll.
func (c *call) do() (int64, unix.Errno) {
	k := c.cam.k
	switch c.name {
	case Stat:
		st := unix.Stat_t{Mode: unix.S_IFCHR | 0o660, Rdev: unix.Mkdev(81, 0)}
		if !pokeValue(c.args[2], &st) {
			return 0, unix.EFAULT
		}
		return 0, 0
	case Open:
		return c.open()
	case Close:
		c.file.close()
		return 0, 0
	case Munmap:
		at := k.region + uintptr(c.slot)*slotSize
		if _, e := mmap(at, slotSize, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED, -1, 0); e != 0 {
			return 0, e
		}
		d := k.mapped[c.slot]
		k.mapped[c.slot] = nil
		d.maps--
		d.cam.maps--
		d.release()
		return 0, 0
	}
	if c.file.dev.gone {
		return 0, unix.ENODEV
	}
	if c.name == Mmap {
		return c.mmap()
	}
	// The argument of an ioctl, of the size that its request tells.
	arg := make([]byte, c.args[1]>>16&0x3fff)
	if len(arg) == 0 || !peek(c.args[2], arg) {
		return 0, unix.EFAULT
	}
	if err := c.file.ioctl(c.name, arg); err != 0 {
		return 0, err
	}
	if !poke(c.args[2], arg) {
		return 0, unix.EFAULT
	}
	return 0, 0
}

func (c *call) open() (int64, unix.Errno) {
	d := c.cam.dev
	if d == nil { // it was pulled out while this call hung
		return 0, unix.ENODEV
	}
	command := unix.F_DUPFD
	if c.args[2]&unix.O_CLOEXEC != 0 {
		command = unix.F_DUPFD_CLOEXEC
	}
	fd, err := unix.FcntlInt(uintptr(d.backing), command, firstFD)
	if err != nil {
		return 0, unix.EMFILE
	}
	if fd >= endFD {
		closeFD(fd)
		return 0, unix.EMFILE
	}
	c.cam.k.files[fd] = &file{fd: fd, dev: d}
	d.files++
	c.cam.opened++
	return int64(fd), 0
}

// closeFD closes a descriptor by a call that is not handed to this package.
func closeFD(fd int) { unix.Syscall(unix.SYS_CLOSE_RANGE, uintptr(fd), uintptr(fd), 0) }

func (f *file) close() {
	d := f.dev
	closeFD(f.fd)
	delete(d.cam.k.files, f.fd)
	d.files--
	d.cam.opened--
	if d.owner == f {
		d.owner = nil
	}
	d.release()
}

func (c *call) mmap() (int64, unix.Errno) {
	f, k, size := c.file, c.cam.k, int(c.args[1])
	if f.dev.owner != f || size > f.length || size > slotSize {
		return 0, unix.EINVAL
	}
	for i, d := range k.mapped {
		if d != nil {
			continue
		}
		at, e := mmap(k.region+uintptr(i)*slotSize, size, int(c.args[2]), unix.MAP_SHARED|unix.MAP_FIXED, f.dev.backing, int64(c.args[5]))
		if e != 0 {
			return 0, e
		}
		k.mapped[i] = f.dev
		f.dev.maps++
		c.cam.maps++
		return int64(at), 0
	}
	return 0, unix.ENOMEM
}

// ready is what a poll would return now.
func (f *file) ready() int16 {
	switch {
	case f.dev.gone:
		return unix.POLLERR | unix.POLLHUP
	case !f.on:
		return unix.POLLERR
	}
	if f.dev.cam.o.Fast && len(f.done) == 0 {
		f.expose(time.Now())
	}
	if len(f.done) > 0 {
		return unix.POLLIN
	}
	return 0
}

func (f *file) poll(c *call) {
	k := c.cam.k
	if events := f.ready(); events != 0 {
		k.ready(c, events)
		return
	}
	if c.args[2] != 0 {
		var ts unix.Timespec
		if !peekValue(c.args[2], &ts) {
			k.answer(c.id, 0, unix.EFAULT)
			return
		}
		c.deadline = time.Now().Add(time.Duration(ts.Nano()))
	}
	f.dev.polls = append(f.dev.polls, c)
}

// expose makes a picture.
func (f *file) expose(at time.Time) {
	f.seq++
	if len(f.queue) == 0 {
		f.dev.cam.lost++
		return
	}
	p := filled{index: f.queue[0], seq: f.seq - 1}
	f.queue = f.queue[1:]
	// The clock of the stamp is monotonic, as drivers' are.
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &p.at)
	p.at = unix.NsecToTimespec(p.at.Nano() - int64(time.Since(at)))
	p.bytes = f.stock.write(f.dev.mem[p.index*f.length:][:f.length], p.seq, f.drawn[p.index])
	f.drawn[p.index] = true
	if f.dev.cam.damage > 0 {
		f.dev.cam.damage--
		p.damaged = true
	}
	f.done = append(f.done, p)
}

func peekValue[T any](addr uint64, v *T) bool {
	return peek(addr, unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)))
}

func pokeValue[T any](addr uint64, v *T) bool {
	return poke(addr, unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)))
}
