//go:build !linux

package affinity

// Set returns [ErrUnsupported].
func Set([]int) error { return ErrUnsupported }
