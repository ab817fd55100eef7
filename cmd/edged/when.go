package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const whenHelp = "as long ago (25m, 1h30m, 2d, with or without a minus), a time of day (14:05), or a date and time (2006-01-02 15:04)"

// parseWhen reads a moment of the past as [wire.Ask] has it: milliseconds before now
// below zero, a Unix time in milliseconds above. A time of day that has not come today was
// yesterday.
func parseWhen(s string, now time.Time) (int64, error) {
	if ago, ok := parseAgo(strings.TrimPrefix(s, "-")); ok {
		return -ago.Milliseconds(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil && t.UnixMilli() > 0 {
			return t.UnixMilli(), nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			y, m, d := now.Date()
			at := time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
			return at.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is no moment: %s", s, whenHelp)
}

// parseAgo reads a duration that may be in days. It is not negative.
func parseAgo(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return time.Duration(n * 24 * float64(time.Hour)), err == nil && n >= 0 && n < 36500
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}
