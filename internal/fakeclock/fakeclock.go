// Package fakeclock is the clock of a device that a test sets. For tests only.
package fakeclock

import (
	"sync"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
)

// Device has a clock that stands still until the test moves it. Its methods may be
// called from any goroutine.
type Device struct {
	mu  sync.Mutex
	now clock.Time
}

// New returns a device whose clock is trusted and shows wall, started up ago.
func New(wall time.Time, up time.Duration) *Device {
	return &Device{now: clock.Time{Wall: wall, Trusted: true, Boot: clock.Boot{1}, Up: up}}
}

// Clock reads the time: a [clock.Clock].
func (d *Device) Clock() clock.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// Pass lets time pass.
func (d *Device) Pass(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.Wall, d.now.Up = d.now.Wall.Add(t), d.now.Up+t
}

// Jump sets the clock, and whether it is trusted, without time passing.
func (d *Device) Jump(t time.Duration, trusted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.Wall, d.now.Trusted = d.now.Wall.Add(t), trusted
}

// Reboot starts the device again after it was off for so long
func (d *Device) Reboot(off time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.Wall, d.now.Up = d.now.Wall.Add(off), 0
	d.now.Boot[0]++
}
