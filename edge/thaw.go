package edge

import (
	"fmt"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// A camera that stays frozen is opened again: many that hang go on when they are. So that one
// which rightly shows the same, behind a cap or with a test picture, is hardly disturbed, the
// pause doubles each time.
const (
	thawAfter   = 30 * time.Second // since it is known to be frozen
	thawFirst   = time.Minute      // from the first time to the second
	thawSlowest = time.Hour
)

// thaws is what was done about a view that is frozen.
type thaws struct {
	frozen time.Time // since when it is; zero: it is not
	last   time.Time // when its camera was opened again
	pause  time.Duration
}

// thaw has a frozen view's camera opened again when it is time. What helped for no longer than
// until the next time would be has not helped.
func (v *view) thaw(at time.Time) {
	t := &v.thaws
	if v.quality.state != camera.Frozen {
		if t.frozen = (time.Time{}); at.Sub(t.last) > 2*t.pause {
			t.pause = 0
		}
		return
	}
	if t.frozen.IsZero() {
		t.frozen = at
	}
	c := v.Camera()
	if c == nil || at.Sub(t.frozen) < thawAfter || t.pause > 0 && at.Sub(t.last) < t.pause {
		return
	}
	t.last, t.pause = at, min(max(2*t.pause, thawFirst), thawSlowest)
	c.Reopen()
	v.tell(v.Name, camera.Frozen, fmt.Sprintf("%s: %s: %s: its camera is opened again; if that does not help, next in %v", v.Name, camera.Frozen, v.quality.reason, t.pause))
}
