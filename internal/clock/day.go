package clock

import (
	"encoding/binary"
	"time"
)

// Day sums up what happened in the last 24 hours that the device ran, hour by hour: the
// last 23 to 24 of them. Of an earlier start of the device nothing ages while it is off.
type Day struct {
	hours [24]int64
	boot  Boot
	hour  int64 // of Time.Up, the newest in hours
}

// Add counts n at a time that is not before those of other calls.
func (d *Day) Add(now Time, n int64) {
	d.pass(now)
	d.hours[d.hour%24] += n
}

// Sum is what was counted in the day before now.
func (d *Day) Sum(now Time) (n int64) {
	d.pass(now)
	for _, h := range d.hours {
		n += h
	}
	return n
}

func (d *Day) pass(now Time) {
	hour := int64(now.Up / time.Hour)
	if now.Boot != d.boot { // hours go on where they were
		all := d.hours
		for i := range int64(24) {
			d.hours[(hour+24-i)%24] = all[(d.hour+24-i)%24]
		}
		d.boot, d.hour = now.Boot, hour
	}
	for gone := 0; d.hour < hour && gone < 24; gone++ {
		d.hour++
		d.hours[d.hour%24] = 0
	}
	d.hour = max(d.hour, hour)
}

// DaySize is how many bytes [Day.Append] appends.
const DaySize = 24*8 + 16 + 8

// Append appends d to b: the hours, the start of the device and the newest hour, little-endian.
func (d *Day) Append(b []byte) []byte {
	for _, n := range d.hours {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return binary.LittleEndian.AppendUint64(append(b, d.boot[:]...), uint64(d.hour))
}

// ParseDay reads what [Day.Append] appended, at least DaySize bytes. ok is false where they cannot
// be that, seen from now.
func ParseDay(b []byte, now Time) (d Day, ok bool) {
	const most = 1 << 56 // 24 of them do not overflow
	for i := range d.hours {
		n := binary.LittleEndian.Uint64(b[8*i:])
		if n > most {
			return Day{}, false
		}
		d.hours[i] = int64(n)
	}
	copy(d.boot[:], b[24*8:])
	hour := binary.LittleEndian.Uint64(b[24*8+16:])
	d.hour = int64(hour)
	return d, hour < most && (d.boot != now.Boot || d.hour <= int64(now.Up/time.Hour))
}
