package v4l2

import (
	"errors"
	"fmt"
	"reflect"
	"time"
	"unsafe"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"
)

// buffers is how many the driver is asked for: one is being filled, one waits
// to be, one is being read, and one is spare where a reader is late. A driver may
// offer others, within the bounds of V4L2.
const (
	buffers    = 4
	maxBuffers = 32
)

// device is an open camera. It streams at most once.
type device struct {
	cam     *webcam.Webcam
	fd      uintptr
	streams bool
	mem     [][]byte // while streaming
	poll    []unix.PollFd
}

// openDevice opens a node that takes pictures.
func openDevice(path string) (*device, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, &nodeError{path, "open", err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return nil, fmt.Errorf("%s is no camera: it is not a device", path)
	}
	cam, err := webcam.Open(path)
	if err != nil {
		return nil, &nodeError{path, "open", err}
	}
	fd := libraryFD(cam)
	// The library leaves it open to programs that are started: one of them would
	// keep the camera busy, and its number when it is unplugged.
	unix.CloseOnExec(int(fd))
	return &device{cam: cam, fd: fd, poll: []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}}, nil
}

// libraryFD is what the library keeps to itself; reading it needs no unsafe.
func libraryFD(w *webcam.Webcam) uintptr {
	return uintptr(reflect.ValueOf(w).Elem().FieldByName("fd").Uint())
}

// nodeError is a call to a node that failed.
type nodeError struct {
	path, call string
	err        error
}

func (e *nodeError) Error() string { return e.path + ": " + explain(e.call, e.err) }
func (e *nodeError) Unwrap() error { return e.err }

// setMode asks for a mode and returns what the driver made of it: the real
// format with its stride.
func (d *device) setMode(m Mode) (pixFormat, error) {
	if _, _, _, err := d.cam.SetImageFormat(webcam.PixelFormat(m.Format), uint32(m.Width), uint32(m.Height)); err != nil {
		return pixFormat{}, err
	}
	f := format{typ: typeCapture}
	if err := ioctl(d.fd, reqGetFormat, &f); err != nil {
		return pixFormat{}, err
	}
	if f.pix.field != 0 && f.pix.field != fieldNone && f.pix.field != fieldInterlaced {
		return f.pix, errors.New("it sends half pictures, of every other line")
	}
	return f.pix, nil
}

// start begins to stream. After an error nothing is mapped: what is keeps the
// camera busy, even once it is closed.
//
// The library is not asked. It leaves buffers of failed starts mapped, and unmaps
// under a lock of the whole process, where one camera that hangs stops all others.
func (d *device) start() (err error) {
	defer func() {
		if err != nil {
			d.unmap()
		}
	}()
	r := requestBuffers{count: buffers, typ: typeCapture, memory: memoryMmap}
	if err := ioctl(d.fd, reqReqBufs, &r); err != nil {
		return err
	}
	if r.count == 0 || r.count > maxBuffers {
		return fmt.Errorf("the driver offers %d buffers where %d were asked for", r.count, buffers)
	}
	for i := range r.count {
		b := buffer{index: i, typ: typeCapture, memory: memoryMmap}
		if err := ioctl(d.fd, reqQueryBuf, &b); err != nil {
			return err
		}
		p, err := unix.MmapPtr(int(d.fd), int64(uint32(b.offset)), nil, uintptr(b.length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		d.mem = append(d.mem, unsafe.Slice((*byte)(p), b.length))
	}
	for i := range r.count {
		if err := d.requeue(buffer{index: i}); err != nil {
			return err
		}
	}
	typ := uint32(typeCapture)
	if err := ioctl(d.fd, reqStreamOn, &typ); err != nil {
		return err
	}
	d.streams = true
	return nil
}

// unmap takes what is mapped out of memory.
func (d *device) unmap() {
	for _, b := range d.mem {
		unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)))
	}
	d.mem = nil
}

// wait waits until a buffer is filled; false after d without one.
func (d *device) wait(t time.Duration) (bool, error) {
	n, err := unix.Poll(d.poll, int(t.Milliseconds()))
	if err == unix.EINTR {
		return false, nil
	}
	return n > 0, err
}

// dequeue takes the oldest filled buffer; false when there is none.
func (d *device) dequeue() (buffer, []byte, bool, error) {
	b := buffer{typ: typeCapture, memory: memoryMmap}
	err := ioctl(d.fd, reqDequeue, &b)
	switch {
	case err == unix.EAGAIN && d.poll[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0:
		return b, nil, false, unix.EIO
	case err == unix.EAGAIN:
		return b, nil, false, nil
	case err != nil:
		return b, nil, false, err
	case int(b.index) >= len(d.mem):
		return b, nil, false, fmt.Errorf("the driver filled buffer %d of %d", b.index, len(d.mem))
	}
	m := d.mem[b.index]
	return b, m[:min(int(b.bytesused), len(m))], true, nil
}

// requeue gives a buffer back to the driver.
func (d *device) requeue(b buffer) error { return d.cam.ReleaseFrame(b.index) }

// close stops, unmaps and closes.
func (d *device) close() error {
	if d.streams {
		typ := uint32(typeCapture)
		ioctl(d.fd, reqStreamOff, &typ) // of a camera that is gone it fails
		d.streams = false
	}
	d.unmap()
	return d.cam.Close()
}
