package memory

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/faultdisk"
)

// TestPowerCuts cuts the power after each operation of a few saves and looks at
// every state in which the disk may come up: what was saved before is there, and
// nothing that was not.
func TestPowerCuts(t *testing.T) {
	saves, states := uint64(120), 0
	if testing.Short() {
		saves = 12
	}
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		c := d.config(fs)
		c.Disk = 6 << 10 // so that snapshots are removed too
		s := open(t, c)
		var saved uint64 // the newest frame that is on the disk for certain
		fs.After = func(op, path string) {
			fs.States(func(up *faultdisk.Disk) bool {
				states++
				c := c
				c.FS = up
				s := open(t, c)
				defer s.Close(context.Background())
				snap, err := s.Newest(any1, whole)
				if saved > 0 && (err != nil || snap.Frame < saved) {
					t.Errorf("after %s of %s: %s\nnewest %+v, %v, saved was frame %d", op, path, up, snap, err, saved)
					return false
				}
				return true
			})
		}
		for f := range saves {
			s.Keep(moment(d, f+1))
			synctest.Wait()
			saved = s.newestSaved(t).Frame
			d.Pass(time.Minute)
		}
		fs.After = nil
		closeStore(t, s)
		if s.Status().Disk >= int(saves) {
			t.Error("nothing was removed")
		}
	})
	t.Logf("%d states", states)
	if r := 30; states < int(saves)*r {
		t.Errorf("only %d states", states)
	}
}
