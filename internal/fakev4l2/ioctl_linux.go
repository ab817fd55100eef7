//go:build amd64 || arm64

package fakev4l2

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// requests are the ioctls by number, linux/videodev2.h.
var requests = map[uint64]Call{
	0: QueryCap, 2: EnumFormat, 4: GetFormat, 5: SetFormat, 8: RequestBuffers, 9: QueryBuffer,
	15: EnqueueBuffer, 17: DequeueBuffer, 18: StreamOn, 19: StreamOff, 21: GetParameters, 22: SetParameters,
	28: SetControl, 36: QueryControl, 74: EnumSizes, 75: EnumIntervals,
}

// request names an ioctl.
func request(r uint64) Call {
	if c, ok := requests[r&0xff]; ok && r>>8&0xff == 'V' {
		return c
	}
	return unknown
}

// ioctl answers one. b is its structure, with the offsets of 64-bit machines.
func (f *file) ioctl(name Call, b []byte) unix.Errno {
	d := f.dev
	c := d.cam
	switch name {
	case QueryCap:
		text(b[0:16], "fakev4l2")
		text(b[16:48], "Fake camera "+c.o.Path)
		if c.o.Bus != nil {
			text(b[48:80], c.o.Bus.Name+"-"+c.o.Port)
		} else {
			text(b[48:80], "platform:fakev4l2")
		}
		le.PutUint32(b[84:], 0x84200001) // one node of it takes pictures, another carries data
		le.PutUint32(b[88:], 0x04200001)
	case EnumFormat:
		all := c.fourCCs()
		i := le.Uint32(b)
		if int(i) >= len(all) {
			return unix.EINVAL
		}
		text(b[12:44], all[i])
		copy(b[44:48], all[i])
	case EnumSizes:
		all := c.offered(string(b[4:8]))
		i := le.Uint32(b)
		if int(i) >= len(all) {
			return unix.EINVAL
		}
		put(b[8:], 1, uint32(all[i].Width), uint32(all[i].Height))
	case EnumIntervals:
		i := le.Uint32(b)
		for _, o := range c.offered(string(b[4:8])) {
			if uint32(o.Width) == le.Uint32(b[8:]) && uint32(o.Height) == le.Uint32(b[12:]) && int(i) < len(o.Rates) {
				put(b[16:], 1, 1, uint32(o.Rates[i]))
				return 0
			}
		}
		return unix.EINVAL
	case SetFormat:
		if d.owner != nil || d.maps > 0 {
			return unix.EBUSY
		}
		d.format = c.nearest(string(b[16:20]), int(le.Uint32(b[8:])), int(le.Uint32(b[12:])))
		d.every = interval(d.format, 0)
		d.putFormat(b)
	case GetFormat:
		d.putFormat(b)
	case GetParameters:
		put(b[12:], uint32(d.every/time.Microsecond), 1e6)
	case SetParameters:
		want := time.Second * time.Duration(le.Uint32(b[12:])) / time.Duration(max(le.Uint32(b[16:]), 1))
		d.every = interval(d.format, want)
		put(b[12:], uint32(d.every/time.Microsecond), 1e6)
	case QueryControl:
		if le.Uint32(b) != 0x80000000 && le.Uint32(b) != exposureControl {
			return unix.EINVAL
		}
		put(b, exposureControl, 1)
		text(b[8:40], "Exposure Time, Absolute")
		put(b[40:], 1, 5000, 1, 100, 0)
	case SetControl:
		if le.Uint32(b) != exposureControl {
			return unix.EINVAL
		}
		c.value = int32(le.Uint32(b[4:]))
	default:
		return f.buffers(name, b)
	}
	return 0
}

// buffers answers what is about buffers and streaming.
func (f *file) buffers(name Call, b []byte) unix.Errno {
	d := f.dev
	if name == RequestBuffers {
		// Buffers that somebody has mapped stay in use after their descriptor is closed.
		if d.owner != nil && d.owner != f || f.on || d.owner == nil && d.maps > 0 {
			return unix.EBUSY
		}
		f.queue, f.done = nil, nil
		f.total = min(int(le.Uint32(b)), maxBuffers)
		if d.owner = nil; f.total > 0 {
			d.owner = f
			f.length = (size(d.format) + 4095) &^ 4095
			d.allocate(f.total * f.length)
		}
		le.PutUint32(b, uint32(f.total))
		return 0
	}
	if d.owner != f {
		return unix.EINVAL
	}
	i := int(le.Uint32(b))
	switch name {
	case QueryBuffer, EnqueueBuffer:
		if i >= f.total {
			return unix.EINVAL
		}
		if name == EnqueueBuffer {
			if slices.Contains(f.queue, i) {
				return unix.EINVAL
			}
			f.queue = append(f.queue, i)
		}
		put(b[64:], uint32(i*f.length))
		put(b[72:], uint32(f.length))
	case DequeueBuffer:
		if !f.on {
			return unix.EINVAL
		}
		if len(f.done) == 0 {
			return unix.EAGAIN
		}
		p := f.done[0]
		f.done = f.done[1:]
		flags := uint32(0x2001) // mapped, the time is that of the monotonic clock
		if p.damaged {
			flags |= 0x40
		}
		put(b, uint32(p.index), 1, uint32(p.bytes), flags)
		le.PutUint64(b[24:], uint64(p.at.Sec))
		le.PutUint64(b[32:], uint64(p.at.Nsec/1000))
		put(b[56:], p.seq)
		put(b[72:], uint32(f.length))
	case StreamOn:
		if !d.cam.k.fits(d) {
			return unix.ENOSPC
		}
		f.on, f.seq, f.every, f.due = true, 0, d.every, time.Now().Add(d.every)
		f.stock, f.drawn = d.cam.k.stock(d.format), make([]bool, f.total)
	case StreamOff:
		f.on, f.queue, f.done = false, nil, nil
	default:
		return unix.ENOTTY
	}
	return 0
}

// allocate makes room for buffers.
func (d *device) allocate(bytes int) {
	if bytes <= len(d.mem) {
		return
	}
	if d.mem != nil {
		unix.Munmap(d.mem)
	}
	err := unix.Ftruncate(d.backing, int64(bytes))
	if err == nil {
		d.mem, err = unix.Mmap(d.backing, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		panic(err)
	}
}

// fits reports whether the bus of d has room for its stream beside those of others.
func (k *kernel) fits(d *device) bool {
	bus := d.cam.o.Bus
	if bus == nil {
		return true
	}
	need := d.load(d.every)
	for c := range k.cameras {
		if o := c.dev; c.o.Bus == bus && o.owner != nil && o.owner.on {
			need += o.load(o.owner.every)
		}
	}
	return need <= bus.Capacity
}

// load is the bytes a second of a stream. That of MJPEG is what a camera reserves for it.
func (d *device) load(every time.Duration) int {
	if d.cam.need > 0 {
		return d.cam.need
	}
	n := size(d.format)
	if d.format.FourCC == "MJPG" {
		n /= 4
	}
	return int(int64(n) * int64(time.Second) / int64(every))
}

func (d *device) putFormat(b []byte) {
	f := d.format
	stride := f.Width + f.Pad
	switch f.FourCC {
	case "YUYV":
		stride += f.Width
	case "MJPG":
		stride = 0
	}
	put(b[8:], uint32(f.Width), uint32(f.Height))
	copy(b[16:20], f.FourCC)
	put(b[20:], 1, uint32(stride), uint32(size(f)), 8) // progressive, sRGB
}

// fourCCs are the formats that the camera offers.
func (c *Camera) fourCCs() []string {
	var all []string
	for _, f := range c.o.Formats {
		if !slices.Contains(all, f.FourCC) {
			all = append(all, f.FourCC)
		}
	}
	return all
}

func (c *Camera) offered(fourCC string) []Format {
	var all []Format
	for _, f := range c.o.Formats {
		if f.FourCC == fourCC {
			all = append(all, f)
		}
	}
	return all
}

// nearest is what the driver makes of a wish.
func (c *Camera) nearest(fourCC string, w, h int) Format {
	all := c.offered(fourCC)
	if len(all) == 0 {
		all = c.o.Formats
	}
	return slices.MinFunc(all, func(a, b Format) int {
		far := func(f Format) int { return max(f.Width-w, w-f.Width) + max(f.Height-h, h-f.Height) }
		return far(a) - far(b)
	})
}

// interval is the time between two pictures nearest to the one wanted; 0: the camera's own.
func interval(f Format, want time.Duration) time.Duration {
	best := time.Second / time.Duration(f.Rates[0])
	for _, r := range f.Rates {
		if d := time.Second / time.Duration(r); want > 0 && (d-want).Abs() < (best-want).Abs() {
			best = d
		}
	}
	return best
}

func put(b []byte, values ...uint32) {
	for i, v := range values {
		le.PutUint32(b[4*i:], v)
	}
}

func text(b []byte, s string) { b[copy(b[:len(b)-1], s)] = 0 }
