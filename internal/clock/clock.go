// Package clock tells time on devices that may not know what time it is: without
// a battery behind their clock they start years off and jump when the network
// comes. What must be in order goes by sequence numbers and by [Time.Up], which
// never jumps; [Time.Wall] is for people.
package clock

import (
	"encoding/hex"
	"time"
)

// Time is an instant as the device saw it.
type Time struct {
	Wall    time.Time     // what the clock showed
	Trusted bool          // the kernel called its clock synchronised then
	Boot    Boot          // which start of the device it was
	Up      time.Duration // since that start, sleep included
}

// Boot tells starts of the device apart. It is random and not zero.
type Boot [16]byte

// String returns the hexadecimal digits.
func (b Boot) String() string { return hex.EncodeToString(b[:]) }

// Clock reads the time: [System], or a function of a test's own.
type Clock func() Time

// Age returns how long before now t was. sure is false when nobody can know:
// the device was started in between and one of the clocks was not synchronised.
// The age then is the least it can be, the time since that start.
func (t Time) Age(now Time) (age time.Duration, sure bool) {
	if t.Boot == now.Boot {
		return now.Up - t.Up, true
	}
	// A clock that was set wrongly can call itself synchronised.
	if age = now.Wall.Sub(t.Wall); t.Trusted && now.Trusted && age >= now.Up {
		return age, true
	}
	return now.Up, false
}
