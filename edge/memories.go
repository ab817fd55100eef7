package edge

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"

	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/vlm"
)

// memories are what a scene carries from frame set to frame set: one stream, or
// with a window two that began half a window apart, of which the older answers.
// They are watched: one that grows out of bounds, or that no frame set can be
// added to, is replaced by the newest good snapshot.
type memories struct {
	store  *memory.Store // set before the first frame set
	window uint64        // frame sets; 0: one memory for ever
	tell   func(string)  // of what becomes of the memory

	old, young         Stream // young is nil without a window
	oldSets, youngSets uint64 // frame sets that they hold
	two                bool   // the young one has begun
	empty              []byte // a memory of nothing

	usual   float32 // magnitude of old when it had settled, 0 before
	refused int     // frame sets in a row that old could not take in
}

// What is known of magnitudes: that of the demo model settles within 16 frame sets
// and stays between 0.6 and 1.5 times that of the 64th for 1,500 and more
// (3 rooms).
const (
	settled  = 64  // frame sets
	outgrown = 100 // times the usual magnitude: the memory is replaced
	healthy  = 10  // times: a snapshot may replace it
	patience = 3   // frame sets in a row that cannot be added
)

func newMemories(m Model, window int, tell func(string)) (*memories, error) {
	old, err := m.NewStream()
	if err != nil {
		return nil, err
	}
	ms := &memories{window: uint64(window), tell: tell, old: old, empty: old.Snapshot()}
	if window > 0 {
		ms.young, err = m.NewStream()
	}
	return ms, err
}

// restore goes on from a snapshot. One that was taken with another window, or none,
// comes to have what this one asks for by and by.
func (m *memories) restore(s *memory.Snapshot) error {
	if err := m.old.Restore(s.Memories[0].State); err != nil {
		return err
	}
	m.oldSets, m.usual, m.two = s.Memories[0].Sets, s.Usual, false
	if m.young != nil && len(s.Memories) > 1 {
		if err := m.young.Restore(s.Memories[1].State); err != nil {
			return err
		}
		m.youngSets, m.two = s.Memories[1].Sets, true
	}
	return nil
}

// forget begins anew.
func (m *memories) forget() error {
	m.oldSets, m.usual, m.two = 0, 0, false
	return m.old.Restore(m.empty)
}

// see takes in frame set n. With taken false it was left out, and the memory is
// what it was, or has been replaced.
func (m *memories) see(ctx context.Context, images []image.Image, n uint64) (vision, encode time.Duration, taken bool, err error) {
	if err := m.slide(); err != nil {
		return 0, 0, false, err
	}
	vision, encode, err = m.old.See(ctx, images)
	if err == nil && m.two {
		var more time.Duration
		more, err = m.young.SeeWith(ctx, m.old)
		encode += more
		if errors.Is(err, vlm.ErrNotFinite) {
			m.tell("the younger memory begins anew: it was not finite")
			m.youngSets, err = 0, m.young.Restore(m.empty)
		} else if err == nil {
			m.youngSets++
		}
	}
	if errors.Is(err, vlm.ErrNotFinite) {
		return vision, encode, false, m.refuse(n)
	}
	if err != nil {
		return vision, encode, false, err
	}
	m.refused = 0
	m.oldSets++
	size := m.old.Magnitude()
	if m.usual == 0 && m.oldSets >= settled {
		m.usual = size
	}
	if m.usual > 0 && size > outgrown*m.usual {
		return vision, encode, false, m.replace(fmt.Sprintf("its values have grown to %.0f times what they were", size/m.usual))
	}
	return vision, encode, true, nil
}

// slide begins and ends memories as the window asks, before the next frame set is seen.
func (m *memories) slide() error {
	if m.young == nil {
		return nil
	}
	if m.two && m.youngSets >= m.window/2 {
		m.old, m.young = m.young, m.old
		m.oldSets, m.two, m.usual = m.youngSets, false, 0
	}
	if !m.two && m.oldSets >= m.window/2 {
		m.youngSets, m.two = 0, true
		return m.young.Restore(m.empty)
	}
	return nil
}

// refuse counts a frame set that would have made the memory infinite.
func (m *memories) refuse(n uint64) error {
	m.refused++
	switch m.refused {
	case 1:
		m.tell(fmt.Sprintf("frame set %d was left out: with it the memory would not be finite", n))
	case patience:
		return m.replace(fmt.Sprintf("%d frame sets in a row could not be added to it", patience))
	case 2 * patience: // a snapshot did not help
		m.tell("the memory was emptied: what was saved takes no frame set either")
		return m.forget()
	}
	return nil
}

// replace puts the newest good snapshot in the place of a bad memory, or none
// where there is none.
func (m *memories) replace(why string) error {
	usual := m.usual
	fits := func(i memory.Info) bool { return usual == 0 || i.Magnitude <= healthy*usual }
	s, err := m.store.Newest(fits, m.restore)
	if err != nil {
		m.tell(fmt.Sprintf("the memory was emptied, since %s, and no good snapshot is kept", why))
		return m.forget()
	}
	m.tell(fmt.Sprintf("the memory was replaced by that of frame set %d, %s, since %s", s.Frame, when(s.Time, m.store.Age(s.Info)), why))
	return nil
}

// moment returns what is remembered after frame set n.
func (m *memories) moment(n uint64, at time.Time) memory.Moment {
	all := []memory.Memory{{Sets: m.oldSets, State: m.old.Snapshot()}}
	if m.two {
		all = append(all, memory.Memory{Sets: m.youngSets, State: m.young.Snapshot()})
	}
	return memory.Moment{Frame: n, Time: at, Memories: all, Magnitude: m.old.Magnitude(), Usual: m.usual}
}

// when tells a time and how long ago it was.
func when(t time.Time, ago time.Duration) string {
	return fmt.Sprintf("%s (%v ago)", t.Format("2006-01-02 15:04:05"), ago.Round(time.Second))
}

// stateBytes returns the size of all that a snapshot remembers.
func stateBytes(s *memory.Snapshot) (n int64) {
	for _, m := range s.Memories {
		n += int64(len(m.State))
	}
	return n
}
