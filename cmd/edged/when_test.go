package main

import (
	"testing"
	"time"
)

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 3, 1, 14, 5, 6, 7, time.FixedZone("", 3600))
	for s, want := range map[string]time.Time{
		"2026-02-28 23:59":     time.Date(2026, 2, 28, 23, 59, 0, 0, now.Location()),
		"2026-02-28T23:59:01":  time.Date(2026, 2, 28, 23, 59, 1, 0, now.Location()),
		"2026-02-28T23:59:01Z": time.Date(2026, 2, 28, 23, 59, 1, 0, time.UTC),
		"2026-02-28":           time.Date(2026, 2, 28, 0, 0, 0, 0, now.Location()),
		"14:05":                time.Date(2026, 3, 1, 14, 5, 0, 0, now.Location()),
		"14:06":                time.Date(2026, 2, 28, 14, 6, 0, 0, now.Location()),
		"00:00:01":             time.Date(2026, 3, 1, 0, 0, 1, 0, now.Location()),
	} {
		if got, err := parseWhen(s, now); err != nil || got != want.UnixMilli() {
			t.Errorf("%q: %v, %v, want %v", s, time.UnixMilli(got), err, want)
		}
	}
	for s, want := range map[string]time.Duration{
		"-25m": 25 * time.Minute, "25m": 25 * time.Minute, "1h30m": 90 * time.Minute, "-2d": 48 * time.Hour, "0.5d": 12 * time.Hour, "0s": 0,
	} {
		if got, err := parseWhen(s, now); err != nil || got != -want.Milliseconds() {
			t.Errorf("%q: %v, %v, want %v ago", s, got, err, want)
		}
	}
	for _, s := range []string{"", "-", "yesterday", "--5m", "-1e300d", "NaNd", "Infd", "25", "25:00", "1960-01-01", "14:05:99", "-14:05"} {
		if got, err := parseWhen(s, now); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}
