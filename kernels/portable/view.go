package portable

import "unsafe"

// littleEndian says that memory holds numbers the way files do.
var littleEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}()

// viewF32 returns the bytes as float32 without copying. It fails where the bytes
// are not aligned for that, or in the wrong order: a float32 load at an odd address
// traps on 32-bit ARM.
func viewF32(b []byte) ([]float32, bool) {
	p := unsafe.SliceData(b)
	if !littleEndian || uintptr(unsafe.Pointer(p))%4 != 0 {
		return nil, false
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(p)), len(b)/4), true
}
