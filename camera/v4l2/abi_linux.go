package v4l2

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structures of linux/videodev2.h that blackjack/webcam does not hand out.
// Go lays them out as C does on 64-bit machines and on 32-bit ARM, where the
// time is the kernel's old one of two 32-bit words; TestLayout has the sizes.

type capability struct {
	driver       [16]uint8
	card         [32]uint8
	busInfo      [32]uint8
	_            uint32 // version
	capabilities uint32 // of the whole device
	deviceCaps   uint32 // of this node, if capabilities has capDeviceCaps
	_            [3]uint32
}

const (
	capVideoCapture       = 0x1
	capVideoOutput        = 0x2
	capVideoCaptureMplane = 0x1000
	capVideoM2MMplane     = 0x4000
	capVideoM2M           = 0x8000
	capMetaCapture        = 0x800000
	capStreaming          = 0x4000000
	capDeviceCaps         = 0x80000000
)

// node returns what this node of the device can do.
func (c *capability) node() uint32 {
	if c.capabilities&capDeviceCaps != 0 {
		return c.deviceCaps
	}
	return c.capabilities
}

type pixFormat struct {
	width, height, pixelformat uint32
	field                      uint32
	bytesperline               uint32
	_                          uint32 // sizeimage: how much came is seen
	colorspace                 uint32
	_, _                       uint32 // priv, flags
	_, quantization            uint32 // ycbcr_enc
	_                          uint32 // xfer_func
}

// format is v4l2_format; its union holds pointers, and is aligned like them.
type format struct {
	typ uint32
	_   [0]uintptr
	pix pixFormat
	_   [200 - unsafe.Sizeof(pixFormat{})]byte
}

const (
	fieldNone, fieldInterlaced = 1, 4

	colorspaceJPEG        = 7
	quantizationFullRange = 1
)

type buffer struct {
	index, typ       uint32
	bytesused, flags uint32
	_                uint32 // field
	timestamp        unix.Timeval
	_                [4]uint32 // timecode
	sequence, memory uint32
	offset           uintptr // where it is to be mapped from, 32 bits of it; a union with a pointer
	length           uint32
	_, _             uint32 // reserved, request
}

const (
	flagError         = 0x40
	flagTimeMask      = 0xe000
	flagTimeMonotonic = 0x2000
)

type requestBuffers struct {
	count, typ, memory uint32
	_, _               uint32 // capabilities, flags
}

type queryControl struct {
	id, typ  uint32
	name     [32]uint8
	min, max int32
	_, _     int32 // step, default
	flags    uint32
	_        [2]uint32
}

type control struct {
	id    uint32
	value int32
}

const (
	typeCapture = 1 // V4L2_BUF_TYPE_VIDEO_CAPTURE
	memoryMmap  = 1

	controlButton   = 4
	controlDisabled = 0x1
	controlNext     = 0x80000000
)

// The requests, made of direction, size, type 'V' and number.
const (
	reqQueryCap  = 2<<30 | unsafe.Sizeof(capability{})<<16 | 'V'<<8
	reqGetFormat = 3<<30 | unsafe.Sizeof(format{})<<16 | 'V'<<8 | 4
	reqReqBufs   = 3<<30 | unsafe.Sizeof(requestBuffers{})<<16 | 'V'<<8 | 8
	reqQueryBuf  = 3<<30 | unsafe.Sizeof(buffer{})<<16 | 'V'<<8 | 9
	reqDequeue   = 3<<30 | unsafe.Sizeof(buffer{})<<16 | 'V'<<8 | 17
	reqStreamOn  = 1<<30 | 4<<16 | 'V'<<8 | 18 // of a buffer's type
	reqStreamOff = 1<<30 | 4<<16 | 'V'<<8 | 19
	reqQueryCtrl = 3<<30 | unsafe.Sizeof(queryControl{})<<16 | 'V'<<8 | 36
	reqSetCtrl   = 3<<30 | unsafe.Sizeof(control{})<<16 | 'V'<<8 | 28
)

// ioctl makes one call, again where a signal interrupted it. T is one of the
// structures above, or a number.
func ioctl[T any](fd uintptr, req uintptr, arg *T) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, fd, req, uintptr(unsafe.Pointer(arg)))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return e
		}
	}
}
