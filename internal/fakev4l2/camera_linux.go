//go:build amd64 || arm64

package fakev4l2

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/seccomp"
)

// Format is pictures of one size that a camera offers.
type Format struct {
	FourCC        string // YUYV, NV12 or MJPG
	Width, Height int    // even
	Rates         []int  // pictures a second, the camera's own first
	Pad           int    // bytes between the rows of YUYV and NV12
}

// Bus is a USB bus that has room for so many bytes a second.
type Bus struct {
	Name     string // as in bus_info, without the port: "usb-0000:00:14.0"
	Capacity int
}

// Options says what a camera is.
type Options struct {
	Path    string // "/dev/video40"
	Bus     *Bus   // nil: none
	Port    string // of the bus: "1.2"
	Formats []Format

	// Fast cameras have a picture whenever they have a buffer for it. Others keep their rate,
	// and lose pictures for which there is no buffer, as real ones do.
	Fast bool
}

// Call is a system call that a camera answers.
type Call string

// The calls; those to ioctl have the names of their requests.
const (
	Stat            Call = "stat"
	Open            Call = "open"
	Close           Call = "close"
	Mmap            Call = "mmap"
	Munmap          Call = "munmap"
	Poll            Call = "poll"
	QueryCap        Call = "QUERYCAP"
	EnumFormat      Call = "ENUM_FMT"
	EnumSizes       Call = "ENUM_FRAMESIZES"
	EnumIntervals   Call = "ENUM_FRAMEINTERVALS"
	GetFormat       Call = "G_FMT"
	SetFormat       Call = "S_FMT"
	GetParameters   Call = "G_PARM"
	SetParameters   Call = "S_PARM"
	QueryControl    Call = "QUERYCTRL"
	SetControl      Call = "S_CTRL"
	RequestBuffers  Call = "REQBUFS"
	QueryBuffer     Call = "QUERYBUF"
	EnqueueBuffer   Call = "QBUF"
	DequeueBuffer   Call = "DQBUF"
	StreamOn        Call = "STREAMON"
	StreamOff       Call = "STREAMOFF"
	unknown         Call = "ioctl"
	maxBuffers           = 32
	exposureControl      = 0x009a0902
)

// Camera is a camera that a test made. Its methods may be called at any time.
type Camera struct {
	o Options
	k *kernel

	dev    *device // nil: unplugged
	faults map[Call]*fault
	hung   []*call
	damage int
	need   int // of the bus; 0: what the format needs
	count  map[Call]int
	lost   int
	opened int
	maps   int
	value  int32
}

// fault is what happens to the next calls of a kind.
type fault struct {
	times int // negative: all
	err   unix.Errno
	hang  bool
}

// Plug makes a camera and plugs it in. Install was called before.
func Plug(o Options) *Camera {
	c := &Camera{o: o, k: installed, faults: map[Call]*fault{}, count: map[Call]int{}}
	c.Replug()
	return c
}

// Replug plugs the camera in where it is not.
func (c *Camera) Replug() {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	if c.dev == nil {
		c.dev = newDevice(c)
		c.k.paths[c.o.Path] = c
		c.k.cameras[c] = struct{}{}
	}
}

// Unplug pulls the camera out: its path is gone, and what is open fails with ENODEV.
func (c *Camera) Unplug() {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	if c.dev == nil {
		return
	}
	d := c.dev
	c.dev = nil
	delete(c.k.paths, c.o.Path)
	delete(c.k.cameras, c)
	d.gone, d.owner = true, nil
	for _, p := range d.polls {
		c.k.ready(p, unix.POLLERR|unix.POLLHUP)
	}
	d.polls = nil
	d.release()
}

// Fail makes the next calls of a kind fail, all of them where times is negative.
func (c *Camera) Fail(what Call, err unix.Errno, times int) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.faults[what] = &fault{times: times, err: err}
}

// Hang makes the next calls of a kind wait for [Camera.Release].
func (c *Camera) Hang(what Call, times int) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.faults[what] = &fault{times: times, hang: true}
}

// Release ends all that was asked of Fail and Hang; calls that hang are answered now.
func (c *Camera) Release() {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	clear(c.faults)
	hung := c.hung
	c.hung = nil
	for _, h := range hung {
		c.k.serve(h)
	}
	c.k.poke()
}

// Damage makes the camera mark the next n pictures as damaged.
func (c *Camera) Damage(n int) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.damage = n
}

// Reserve makes the camera ask for so many bytes a second of its bus, whatever it sends, as
// cheap ones do.
func (c *Camera) Reserve(bytes int) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.need = bytes
}

// Hanging is the number of calls that wait for Release.
func (c *Camera) Hanging() int { return get(c, func() int { return len(c.hung) }) }

// Calls is how often a call was made.
func (c *Camera) Calls(what Call) int { return get(c, func() int { return c.count[what] }) }

// Opened is the number of descriptors of the camera, Mapped that of its mappings.
func (c *Camera) Opened() int { return get(c, func() int { return c.opened }) }

// Mapped is the number of the camera's mappings.
func (c *Camera) Mapped() int { return get(c, func() int { return c.maps }) }

// Lost is the number of pictures for which there was no buffer.
func (c *Camera) Lost() int { return get(c, func() int { return c.lost }) }

// Streams reports whether the camera streams.
func (c *Camera) Streams() bool {
	return get(c, func() bool { return c.dev != nil && c.dev.owner != nil && c.dev.owner.on })
}

// Exposure is the value that its one control, Exposure Time, Absolute, was set to.
func (c *Camera) Exposure() int32 { return get(c, func() int32 { return c.value }) }

func get[T any](c *Camera, f func() T) T {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	return f()
}

// call is a system call to a camera.
type call struct {
	name     Call
	id       uint64
	args     [6]uint64
	cam      *Camera
	file     *file     // nil before open
	deadline time.Time // of a poll; zero: none
	slot     int       // of a munmap
}

// understand says what a call asks of which camera; false when it is none of its business.
func (k *kernel) understand(n *seccomp.Call) (*call, bool) {
	c := &call{id: n.ID, args: n.Args}
	switch n.NR {
	case unix.SYS_OPENAT, sysFstatat:
		p := peekPath(n.Args[1])
		if len(p) < len("/dev/video") || p[:len("/dev/video")] != "/dev/video" {
			return nil, false
		}
		if c.cam = k.paths[p]; c.cam == nil {
			return nil, false
		}
		if c.name = Open; n.NR == sysFstatat {
			c.name = Stat
		}
		return c, true
	case unix.SYS_PPOLL:
		var fd [4]byte
		if n.Args[1] != 1 || !peek(n.Args[0], fd[:]) {
			return nil, false
		}
		c.name, c.file = Poll, k.files[int(le.Uint32(fd[:]))]
	case unix.SYS_IOCTL:
		c.name, c.file = request(n.Args[1]), k.files[int(n.Args[0])]
	case unix.SYS_CLOSE:
		c.name, c.file = Close, k.files[int(n.Args[0])]
	case unix.SYS_MMAP:
		c.name, c.file = Mmap, k.files[int(n.Args[4])]
	case unix.SYS_MUNMAP:
		c.slot = int(uintptr(n.Args[0])-k.region) / slotSize
		if d := k.mapped[c.slot]; d != nil {
			c.name, c.cam = Munmap, d.cam
			return c, true
		}
	}
	if c.file == nil {
		return nil, false
	}
	c.cam = c.file.dev.cam
	return c, true
}

// serve answers a call, or has it hang.
func (k *kernel) serve(c *call) {
	cam := c.cam
	cam.count[c.name]++
	if f := cam.faults[c.name]; f != nil {
		if f.times--; f.times == 0 {
			delete(cam.faults, c.name)
		}
		if f.hang {
			cam.hung = append(cam.hung, c)
			return
		}
		if c.name == Close { // a descriptor is closed all the same
			c.file.close()
		}
		k.answer(c.id, 0, f.err)
		return
	}
	if c.name == Poll {
		c.file.poll(c)
		return
	}
	val, err := c.do()
	k.answer(c.id, val, err)
}

// tick makes the pictures that are due and ends the polls that waited long enough. It
// returns when there is something to do next; zero: never.
func (k *kernel) tick(now time.Time) (next time.Time) {
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for c := range k.cameras {
		d := c.dev
		if f := d.owner; f != nil && f.on && !c.o.Fast {
			for ; !f.due.After(now); f.due = f.due.Add(f.every) {
				f.expose(f.due)
			}
			sooner(f.due)
		}
		d.polls = slices.DeleteFunc(d.polls, func(p *call) bool {
			switch {
			case p.file.ready() != 0:
				k.ready(p, p.file.ready())
			case !p.deadline.IsZero() && !p.deadline.After(now):
				k.answer(p.id, 0, 0)
			default:
				if !p.deadline.IsZero() {
					sooner(p.deadline)
				}
				return false
			}
			return true
		})
	}
	return next
}

// ready answers a poll.
func (k *kernel) ready(p *call, events int16) {
	var b [2]byte
	le.PutUint16(b[:], uint16(events))
	if !poke(p.args[0]+6, b[:]) {
		k.answer(p.id, 0, unix.EFAULT)
		return
	}
	k.answer(p.id, 1, 0)
}
