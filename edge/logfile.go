package edge

import (
	"context"
	"regexp"

	"github.com/visualrwkv/edged/edge/journal"
	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/wire"
)

// LogFile is the log that a daemon left, read without one.
type LogFile struct{ r *journal.Reader }

// OpenLogFile opens what [Journal].Dir holds, or one file of that folder, for reading. A
// daemon that runs has the log to itself: that is an error.
func OpenLogFile(path string) (*LogFile, error) {
	r, err := journal.OpenReader(path, clock.System)
	if err != nil {
		return nil, err
	}
	return &LogFile{r}, nil
}

// Damaged says what is wrong with the file. What can be read of it is found all the same.
func (l *LogFile) Damaged() error { return l.r.Damaged() }

// Search calls emit for what s asks for, as [Daemon.Search] does, but for all of it where
// s has no limit.
func (l *LogFile) Search(ctx context.Context, s *wire.Search, match *regexp.Regexp, emit func(*wire.Event) error) error {
	found := spoken(l.r.Search(ctx, query(s, match)), s.Lang)
	if s.Newest {
		return newest(found, s.Limit, emit)
	}
	for r, err := range found {
		if err != nil {
			return err
		}
		if err := emit(toEvent(r)); err != nil {
			return err
		}
	}
	return nil
}
