package memory

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/faultdisk"
)

// TestForgetUnread: the disk could not be read before the scene was forgotten. What it holds is gone all the same,
// whether it is read before it is erased or at the same time, and what is kept then stays.
func TestForgetUnread(t *testing.T) {
	for _, c := range []struct {
		name            string
		during, erasing bool // it is forgotten while it is read; erased before that goes on
	}{{"before", false, false}, {"during", true, false}, {"erased", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, fs := newDevice(), faultdisk.New()
				s := open(t, d.config(fs))
				keepEach(d, s, 3, time.Hour)
				closeStore(t, s)
				fs.Edit(testDir+"/"+fileName(3), func(b []byte) []byte { return b[:20] }) // is set aside

				failing, reading, goOn := true, false, make(chan struct{})
				fs.Fault = func(op, path string) error {
					switch {
					case failing:
						return syscall.EIO
					case op == "names" && c.during && !reading:
						reading = true
						<-goOn
					}
					return nil
				}
				s = open(t, d.config(fs))
				s.Keep(moment(d, 4))
				synctest.Wait()
				d.Pass(time.Hour)
				failing = false
				var erase func() error
				if !c.during {
					erase = s.Forget()
				}
				if c.erasing {
					if err := erase(); err != nil {
						t.Error(err)
					}
				}
				s.Keep(moment(d, 5)) // has it read
				synctest.Wait()
				if c.during {
					erase = s.Forget()
					close(goOn)
					synctest.Wait()
					s.Keep(moment(d, 5))
				}
				if err := erase(); err != nil {
					t.Error(err)
				}
				d.Pass(time.Hour)
				s.Keep(moment(d, 6))
				synctest.Wait()
				for _, i := range s.List() {
					if i.Frame < 5 {
						t.Errorf("frame set %d is still there", i.Frame)
					}
				}
				closeStore(t, s)
				if names, err := fs.Names(testDir); err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, aside) }) {
					t.Errorf("%v, %v", names, err)
				}
				s = open(t, d.config(fs))
				all := s.List()
				if len(all) == 0 || all[0].Frame < 5 || all[len(all)-1].Frame != 6 {
					t.Errorf("on the disk: %+v", all)
				}
				if snap, err := s.Newest(any1, whole); err != nil || snap.Frame != 6 {
					t.Errorf("%+v, %v", snap, err)
				}
				closeStore(t, s)
			})
		})
	}
}
