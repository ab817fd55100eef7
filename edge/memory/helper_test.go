package memory

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/internal/fakeclock"
	"github.com/visualrwkv/edged/internal/faultdisk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// device is a clock that a test moves, and what a store reported.
type device struct {
	*fakeclock.Device
	mu      sync.Mutex
	reports []string
}

func newDevice() *device {
	return &device{Device: fakeclock.New(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), time.Minute)}
}

func (d *device) report(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports = append(d.reports, text)
}

func (d *device) reported() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.reports...)
}

const testDir = "/state/memory/yard"

func (d *device) config(fs *faultdisk.Disk) Config {
	return Config{Scene: "yard", Model: [32]byte{7}, Dir: testDir, Clock: d.Clock, FS: fs, Report: d.report}
}

func open(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// state is what a stream would have after frame, some hundred bytes that follow
// from it.
func state(frame uint64) []byte {
	rng := rand.New(rand.NewPCG(frame, 1))
	b := make([]byte, 700+frame%500)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func moment(d *device, frame uint64) Moment {
	return Moment{Frame: frame, Time: d.Clock().Wall, Memories: []Memory{{State: state(frame)}}, Magnitude: 2, Usual: 1}
}

// keepEach keeps n frame sets, from 1 on, which are saved before the next comes, each so long after the one before.
func keepEach(d *device, s *Store, n uint64, every time.Duration) {
	for f := range n {
		s.Keep(moment(d, f+1))
		synctest.Wait()
		d.Pass(every)
	}
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func any1(Info) bool          { return true }
func take(*Snapshot) error    { return nil }
func whole(s *Snapshot) error { return check(s) }

// check fails unless a snapshot is what was kept.
func check(s *Snapshot) error {
	if len(s.Memories) != 1 || !bytes.Equal(s.Memories[0].State, state(s.Frame)) {
		return fmt.Errorf("snapshot of frame %d is not what was kept", s.Frame)
	}
	return nil
}
