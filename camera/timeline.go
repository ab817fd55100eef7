package camera

import (
	"sync"
	"time"
)

// Timeline is the time by which the folders of a place are played, so that pictures that were
// taken together are played together. The zero value is ready. It begins, for all folders, when
// the first of them is opened.
type Timeline struct {
	mu      sync.Mutex
	folders []string
	begun   time.Time
	origins map[bool]time.Duration // of clocks that say the date, and of those that do not
}

// dated reports whether a time is since 1970, and not since anything: none of the latter is
// thirty years long.
func dated(t time.Duration) bool { return t > 30*365*24*time.Hour }

// join makes a folder part of the timeline.
func (t *Timeline) join(dir string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.folders = append(t.folders, dir)
}

// begin returns when the timeline began.
func (t *Timeline) begin() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begun.IsZero() {
		t.begun, t.origins = time.Now(), map[bool]time.Duration{}
		for _, dir := range t.folders {
			// One that cannot be read says so when it is opened.
			if sets, err := listViews(dir); err == nil && len(sets) > 0 {
				if _, first, err := setTimes(sets); err == nil {
					t.admit(first)
				}
			}
		}
	}
	return t.begun
}

// origin returns the first time of all folders that have the clock which says first in one.
func (t *Timeline) origin(first time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.origins[dated(first)]; !known { // it could not be read when the timeline began
		t.admit(first)
	}
	return t.origins[dated(first)]
}

func (t *Timeline) admit(first time.Duration) {
	if o, known := t.origins[dated(first)]; !known || first < o {
		t.origins[dated(first)] = first
	}
}
