package sim

import (
	"slices"
	"strings"
)

// CaptionQuestion is what a model is asked for its caption.
const CaptionQuestion = "describe the room."

// place is an object in the order of the caption.
type place struct {
	index  int  // in Objects
	behind bool // stands behind the place before it
}

// order returns the objects from left to right as the front camera sees them;
// of two in one line of sight the nearer comes first.
func (w *World) order() []place {
	var fronts []place
	back := map[int]int{}
	for i := range w.objs {
		if j, ok := w.inFront(i); ok {
			back[j] = i
		} else {
			fronts = append(fronts, place{index: i})
		}
	}
	slices.SortFunc(fronts, func(a, b place) int {
		if bearing(w.objs[a.index].Object) < bearing(w.objs[b.index].Object) {
			return -1
		}
		return 1
	})
	var all []place
	for _, p := range fronts {
		all = append(all, p)
		if b, ok := back[p.index]; ok {
			all = append(all, place{index: b, behind: true})
		}
	}
	return all
}

// inFront returns the object that stands in line before object i.
func (w *World) inFront(i int) (int, bool) {
	for j := range w.objs {
		if j == i {
			continue
		}
		d := bearing(w.objs[i].Object) - bearing(w.objs[j].Object)
		if d <= inLine && d >= -inLine && w.objs[j].Y < w.objs[i].Y {
			return j, true
		}
	}
	return 0, false
}

// Caption is the canonical description of the present frame set: the objects
// from left to right with their motion since the frame set before, then the
// object that left since then.
func (w *World) Caption() string {
	var b strings.Builder
	for n, p := range w.order() {
		t := w.objs[p.index]
		if n > 0 {
			b.WriteString(", ")
		}
		if p.behind {
			b.WriteString("behind it ")
		}
		b.WriteString("a " + name(t.Object))
		if t.motion != Still {
			b.WriteString(" " + motionWords[t.motion])
		}
	}
	if len(w.objs) == 0 {
		b.WriteString("the room is empty")
	}
	if e := w.lastLeft; e != nil && e.Frame == w.frame {
		b.WriteString("; the " + name(e.Object) + " left")
	}
	b.WriteByte('.')
	return b.String()
}

// name is colour and shape, "red ball".
func name(o Object) string { return o.Color.String() + " " + o.Shape.String() }
