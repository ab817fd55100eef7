package edge

import (
	"context"
	"sync/atomic"

	"github.com/visualrwkv/edged/edge/watchdog"
)

// inference is the sign of life of all scenes together: it rests when none of them has
// a frame set in hand. One that waits for its turn for ever, though nobody computes, is
// found out by it; one that is stuck beside others that are not, by its own pulse.
type inference struct {
	pulse *watchdog.Pulse
	busy  atomic.Int64 // scenes with a frame set in hand
}

// begin says that a scene, whose own pulse is given, has something to do until end.
func (i *inference) begin(ctx context.Context, own *watchdog.Pulse) (beating context.Context, end func()) {
	i.busy.Add(1)
	i.pulse.Beat()
	own.Beat()
	return own.Context(i.pulse.Context(ctx)), func() {
		own.Rest()
		if i.busy.Add(-1) == 0 {
			i.pulse.Rest()
		}
	}
}
