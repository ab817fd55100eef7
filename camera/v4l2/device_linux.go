package v4l2

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"
)

// buffers is how many the driver is asked for: one is being filled, one waits
// to be, one is being read, and one is spare where a reader is late.
const buffers = 4

// device is an open camera. It streams at most once: the library forgets which
// of its mappings are gone.
type device struct {
	cam  *webcam.Webcam
	fd   uintptr
	mem  [][]byte // while streaming
	poll []unix.PollFd
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

// The library keeps these to itself; reading them needs no unsafe.

func libraryFD(w *webcam.Webcam) uintptr {
	return uintptr(reflect.ValueOf(w).Elem().FieldByName("fd").Uint())
}

func libraryBuffers(w *webcam.Webcam) [][]byte {
	v := reflect.ValueOf(w).Elem().FieldByName("buffers")
	all := make([][]byte, v.Len())
	for i := range all {
		all[i] = v.Index(i).Bytes()
	}
	return all
}

// nodeError is a call to a node that failed.
type nodeError struct {
	path, call string
	err        error
}

func (e *nodeError) Error() string { return e.path + ": " + explain(e.call, e.err) }
func (e *nodeError) Unwrap() error { return e.err }

// errnoIn finds the error number in an error of the library, which keeps its
// text alone.
func errnoIn(err error) error {
	var no unix.Errno
	if errors.As(err, &no) {
		return err
	}
	for _, no := range []unix.Errno{unix.ENOSPC, unix.EBUSY, unix.ENODEV, unix.EIO, unix.EINVAL, unix.ENOMEM, unix.EPIPE, unix.EPROTO, unix.ETIMEDOUT} {
		if strings.HasSuffix(err.Error(), ": "+no.Error()) {
			return fmt.Errorf("%s: %w", strings.TrimSuffix(err.Error(), ": "+no.Error()), no)
		}
	}
	return err
}

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

// start begins to stream. After an error nothing is mapped.
func (d *device) start() error {
	if err := d.cam.SetBufferCount(buffers); err != nil {
		return err
	}
	err := d.cam.StartStreaming()
	mem := libraryBuffers(d.cam)
	if err == nil {
		d.mem = mem
		return nil
	}
	for _, b := range mem {
		if b != nil {
			unix.Munmap(b)
		}
	}
	return errnoIn(err)
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

// close unmaps and closes.
func (d *device) close() error {
	d.mem = nil
	return d.cam.Close()
}
