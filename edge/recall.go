package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/wire"
)

// lastSave is how long the end of a scene may wait for the disk.
const lastSave = 1500 * time.Millisecond

// remember opens what is kept of the scene and goes on from the newest good
// snapshot, unless the scene was given one.
func (s *scene) remember() error {
	s.keeps.Lock()
	store, err := memory.Open(s.cfg.Snapshots)
	s.store.Store(store)
	s.keeps.Unlock()
	if err != nil {
		return err
	}
	s.mind.store = store
	if s.cfg.Memory != nil || s.cfg.Snapshots.Dir == "" {
		return nil
	}
	snap, err := store.Newest(func(memory.Info) bool { return true }, s.mind.restore)
	if err != nil {
		s.remark("begins with an empty memory: " + err.Error())
		return s.mind.forget()
	}
	s.goOn(snap)
	s.remark(fmt.Sprintf("goes on with the memory of frame set %d, %s", snap.Frame, when(snap.Time, store.Age(snap.Info))))
	return nil
}

// limit sets the budgets of what is kept anew.
func (s *scene) limit(c memory.Config) {
	s.keeps.Lock()
	defer s.keeps.Unlock()
	if store := s.store.Load(); store != nil {
		store.Limit(c)
		return
	}
	l := &s.cfg.Snapshots
	l.Interval, l.Disk, l.Daily, l.RAM = c.Interval, c.Disk, c.Daily, c.RAM
}

// goOn counts frame sets from a snapshot, and answers from it until there is a
// newer one.
func (s *scene) goOn(snap *memory.Snapshot) {
	s.newest.Store(snap)
	s.sets.number = snap.Frame
}

// saveLast saves the newest snapshot when the scene ends.
func (s *scene) saveLast() {
	store := s.store.Load()
	if store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastSave)
	defer cancel()
	// What else is wrong with saving has been reported.
	if err := store.Close(ctx); errors.Is(err, context.DeadlineExceeded) {
		s.remark(err.Error())
	}
}

// keep makes the memory after a frame set the one that questions are asked of; nil when it
// is to be forgotten.
func (s *scene) keep(set *FrameSet) *memory.Snapshot {
	s.keeps.Lock()
	defer s.keeps.Unlock()
	if s.forget.Load() {
		return nil
	}
	snap := s.store.Load().Keep(s.mind.moment(set.Number, set.Time))
	s.newest.Store(snap)
	return snap
}

// forgetAll deletes what the scene remembers and has kept. It returns when that would
// not come back after a power cut.
func (s *scene) forgetAll() error {
	store := s.store.Load()
	if store == nil {
		return wire.Errorf(wire.CodeNotReady, "the scene has not begun yet")
	}
	s.keeps.Lock()
	s.forget.Store(true)
	s.newest.Store(nil)
	erase := store.Forget()
	s.keeps.Unlock()
	s.mu.Lock()
	s.status.Caption, s.status.CaptionTime = "", 0
	s.mu.Unlock()
	s.remark("the memory was emptied, and its snapshots are deleted, since somebody asked for it")
	return erase()
}

// maxListed is how many snapshots fit into a message: each takes 11 of 4,096 values.
const maxListed = 360

// snapshots lists what is kept, the oldest first; of more than fit, an even choice with
// the newest.
func (s *scene) snapshots() []wire.SnapshotInfo {
	store := s.store.Load()
	if store == nil {
		return nil
	}
	var all []wire.SnapshotInfo
	for _, i := range store.List() {
		all = append(all, wire.SnapshotInfo{Number: i.Seq, Frame: int64(i.Frame), Time: i.Time.UnixMilli(), Bytes: i.Bytes, Disk: i.Disk})
	}
	return thin(all, maxListed)
}

// thin returns an even choice of n elements, the last among them, in place of all; all
// where there are no more.
func thin[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	for i := range n {
		all[i] = all[(i+1)*len(all)/n-1]
	}
	return all[:n]
}

// remark tells everybody what became of the memory.
func (s *scene) remark(text string) {
	s.event(&wire.Event{Event: wire.EventState, State: wire.StateMemory, Text: text})
}

// recall returns the snapshot that a question about a time is answered from: see
// [wire.Ask].At for what when means.
func (p past) recall(when int64) (*memory.Snapshot, error) {
	if p.newest == nil || when != 0 && p.store == nil {
		return nil, wire.Errorf(wire.CodeNotReady, "nothing has been seen yet")
	}
	var snap *memory.Snapshot
	var err error
	switch {
	case when == 0:
		return p.newest, nil
	case when < 0:
		snap, err = p.store.Before(-time.Duration(max(when, -maxAgo)) * time.Millisecond)
	default:
		snap, err = p.store.At(time.UnixMilli(when))
	}
	if err != nil {
		return nil, wire.Errorf(wire.CodeNotKept, "%v", err)
	}
	if snap.Model != p.model.hash { // taken a moment later
		return nil, wire.Errorf(wire.CodeNotReady, "the model was exchanged just now; ask again")
	}
	return snap, nil
}

// maxAgo is the longest that [time.Duration] holds, in milliseconds.
const maxAgo = (1<<63 - 1) / int64(time.Millisecond)

// age returns how long ago a snapshot was taken.
func (p past) age(i memory.Info) time.Duration {
	if p.store != nil {
		return p.store.Age(i)
	}
	return 0
}

// compare returns the parts of two captions that only the one or the other has.
func compare(then, now string) (gone, new []string) {
	a, b := parts(then), parts(now)
	return without(a, b), without(b, a)
}

func parts(caption string) []string {
	list := strings.FieldsFunc(caption, func(r rune) bool { return strings.ContainsRune(",;.\n", r) })
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// without returns the elements of a that b does not have, as often as it does not.
func without(a, b []string) (rest []string) {
	b = slices.Clone(b)
	for _, s := range a {
		if i := slices.Index(b, s); i >= 0 {
			b = slices.Delete(b, i, i+1)
		} else {
			rest = append(rest, s)
		}
	}
	return rest
}

// kept is the memory's part of the status; nil before the scene has begun.
func (s *scene) kept() *wire.MemoryStatus {
	store := s.store.Load()
	if store == nil {
		return nil
	}
	k := store.Status()
	st := &wire.MemoryStatus{
		RAM: int64(k.Ring), RAMBytes: k.RingBytes, Snapshots: int64(k.Disk), Bytes: k.DiskBytes, EveryMS: ms(k.Every), Problem: k.Problem,
		Written: k.Written, Daily: k.Daily,
	}
	if k.Saved.Seq > 0 {
		st.Saved, st.AgeMS = k.Saved.Taken.Wall.UnixMilli(), ms(store.Age(k.Saved))
	}
	return st
}
