package edge

import (
	"context"
	"image"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// FrameSet is one frame of each view, taken together.
type FrameSet struct {
	Number uint64         // counts the sets of the scene, from 1
	Frames []camera.Frame // in the order of the views; borrowed, see [camera.Frame]
	Time   time.Time      // of the newest frame
	Skew   time.Duration  // between the oldest and the newest frame
}

// Images returns the pictures in the order of the views, appended to dst.
func (s *FrameSet) Images(dst []image.Image) []image.Image {
	for _, f := range s.Frames {
		dst = append(dst, f.Image)
	}
	return dst
}

func (s *FrameSet) release() {
	for i, f := range s.Frames {
		f.Release()
		s.Frames[i] = camera.Frame{}
	}
}

// collector makes frame sets of what lies in the mailboxes of the views.
type collector struct {
	boxes   []*Mailbox[camera.Frame]
	maxSkew time.Duration // 0: any
	number  uint64
	held    []camera.Frame
	has     []bool

	unmatched atomic.Uint64 // frames dropped because no other view had one of that instant
	damaged   atomic.Uint64 // frames that could not be decoded
}

func newCollector(boxes []*Mailbox[camera.Frame], maxSkew time.Duration) *collector {
	return &collector{
		boxes: boxes, maxSkew: maxSkew,
		held: make([]camera.Frame, len(boxes)), has: make([]bool, len(boxes)),
	}
}

// next waits until every view has a frame and takes the newest of each. Frames
// older than the newest one by more than the allowed skew are dropped and their
// views waited for again, and so are those whose frame is damaged: only here is a
// frame decoded. It returns the error of the first view that ended.
// The set's frames belong to the caller; those of an unfinished set do not leak.
func (c *collector) next(ctx context.Context) (*FrameSet, error) {
	for {
		// Wait for all before taking any, so that a view that is early can still
		// be overtaken by its own newer frame.
		for i, b := range c.boxes {
			if c.has[i] {
				continue
			}
			if err := b.Wait(ctx); err != nil {
				c.drop()
				return nil, err
			}
		}
		var oldest, newest time.Time
		for i, b := range c.boxes {
			if !c.has[i] {
				c.held[i], c.has[i] = b.Take()
			}
			t := c.held[i].Time
			if i == 0 || t.Before(oldest) {
				oldest = t
			}
			if i == 0 || t.After(newest) {
				newest = t
			}
		}
		if c.maxSkew > 0 && newest.Sub(oldest) > c.maxSkew {
			for i, f := range c.held {
				if newest.Sub(f.Time) > c.maxSkew {
					c.has[i] = false
					c.unmatched.Add(1)
					f.Release()
				}
			}
			continue
		}
		if !c.decode() {
			continue
		}
		c.number++
		s := &FrameSet{Number: c.number, Time: newest, Skew: newest.Sub(oldest)}
		s.Frames = append(s.Frames, c.held...)
		clear(c.held)
		clear(c.has)
		return s, nil
	}
}

// decode makes pixels of the held frames and drops those that are damaged; false
// when there were some.
func (c *collector) decode() bool {
	good := true
	for i := range c.held {
		if c.held[i].Decode() != nil {
			c.held[i].Release()
			c.has[i], good = false, false
			c.damaged.Add(1)
		}
	}
	return good
}

// drop releases the frames of an unfinished set.
func (c *collector) drop() {
	for i := range c.held {
		if c.has[i] {
			c.held[i].Release()
		}
	}
	clear(c.held)
	clear(c.has)
}
