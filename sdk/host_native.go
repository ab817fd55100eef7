//go:build !wasip1

package sdk

import (
	"fmt"
	"os"
	"time"
)

var started = time.Now()

func hostLog(level Level, line string) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", [...]string{"debug", "info", "warn", "error"}[level&3], line)
}

func hostEmit(data []byte) { fmt.Fprintf(os.Stderr, "alert: %s\n", data) }

func hostClock() time.Duration { return time.Since(started) }
