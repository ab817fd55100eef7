package clock

import (
	"crypto/rand"
	"time"
)

// System reads the device's clocks. Where they cannot tell its starts apart,
// each start of the process counts as one.
func System() Time {
	t := Time{Wall: time.Now().Round(0), Trusted: synchronised()}
	if up, err := sinceBoot(); err == nil && boot != (Boot{}) {
		t.Boot, t.Up = boot, up
	} else {
		t.Boot, t.Up = process.boot, time.Since(process.start)
	}
	return t
}

// boot is the kernel's name of this start of the device, zero when it has none.
var boot = readBoot()

// process stands in for a kernel that does not tell.
var process = struct {
	boot  Boot
	start time.Time
}{randomBoot(), time.Now()}

func randomBoot() (b Boot) {
	rand.Read(b[:]) // never fails
	return b
}
