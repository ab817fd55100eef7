package clock

import (
	"encoding/hex"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func readBoot() (b Boot) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Boot{}
	}
	digits, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || copy(b[:], digits) != len(b) {
		return Boot{}
	}
	return b
}

func sinceBoot() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// synchronised asks the kernel whether somebody disciplines its clock. A service
// that may not ask is told by systemd-timesyncd's mark.
func synchronised() bool {
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err == nil {
		return tx.Status&unix.STA_UNSYNC == 0
	}
	_, err := os.Stat("/run/systemd/timesync/synchronized")
	return err == nil
}
