//go:build !linux

package clock

import (
	"errors"
	"time"
)

func readBoot() Boot { return Boot{} }

func sinceBoot() (time.Duration, error) { return 0, errors.ErrUnsupported }

// synchronised: desktop systems keep their clocks.
func synchronised() bool { return true }
