package sdk

import (
	"encoding/json"
	"fmt"
	"unsafe"
)

// The host writes what a call is about to in, and reads the answer from out before the next
// call. Both are reused; start is what OnStart was told.
var (
	in, out []byte
	start   Start
	frame   Frame
	caption Caption
)

// maxInput is the most that a plugin's memory can be.
const maxInput = 256 << 20

// alloc returns where in memory the host may write size bytes, 0 for too many.
func alloc(size uint32) uint32 {
	if size > maxInput {
		return 0
	}
	if int(size) > len(in) {
		in = nil // the collector may have it before its successor is there
		in = make([]byte, max(int(size), 4<<10))
	}
	return address(in)
}

func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// input returns the bytes that alloc was asked for.
func input(ptr, size uint32) ([]byte, error) {
	if len(in) == 0 || ptr != address(in) || uint64(size) > uint64(len(in)) {
		return nil, fmt.Errorf("an input of %d bytes at %#x, which edged_alloc did not give", size, ptr)
	}
	return in[:size:size], nil
}

// answer packs what is in out as pointer and length, 0 when it is empty.
func answer() uint64 {
	if len(out) == 0 {
		return 0
	}
	return uint64(address(out))<<32 | uint64(len(out))
}

// OnStart is the body of a plugin's edged_on_start. When handle returns an error the plugin
// does not run, and the error is logged as the reason.
func OnStart(ptr, size uint32, handle func(*Start) error) uint32 {
	data, err := input(ptr, size)
	if err == nil {
		start = Start{}
		err = json.Unmarshal(data, &start)
	}
	if err == nil && start.ABI != ABI {
		err = fmt.Errorf("edged speaks version %d of the plugin interface, this plugin %d", start.ABI, ABI)
	}
	if err == nil {
		err = handle(&start)
	}
	if err != nil {
		Log(Error, err.Error())
		return 1
	}
	return 0
}

// OnFrame is the body of a plugin's edged_on_frame. The frame is valid until handle returns.
// It makes no garbage.
func OnFrame(ptr, size uint32, handle func(*Frame) Verdict) uint64 {
	data, err := input(ptr, size)
	if err == nil {
		err = frame.decode(data, start.Views)
	}
	if err != nil {
		Log(Error, err.Error())
		return 0
	}
	v := handle(&frame)
	out = v.append(out[:0])
	return answer()
}

// OnCaption is the body of a plugin's edged_on_caption.
func OnCaption(ptr, size uint32, handle func(*Caption) Answer) uint64 {
	data, err := input(ptr, size)
	if err == nil {
		err = caption.decode(data)
	}
	if err != nil {
		Log(Error, err.Error())
		return 0
	}
	out = handle(&caption).append(out[:0])
	return answer()
}
