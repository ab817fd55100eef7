package sim

import (
	"math"
	"math/rand/v2"
	"strings"
)

// QA is a question about the room and its one right answer.
type QA struct {
	Kind     string // one of Kinds
	Question string
	Answer   string
}

// Kinds lists the kinds of question that count in an evaluation. Ask also knows
// "describe", whose answer is the caption, and "hidden", the colour of an object
// that only one of two cameras sees.
var Kinds = []string{"count", "colour", "exist", "camera", "motion", "moved", "where", "relation", "left", "entered", "changed"}

var numbers = []string{"none", "one", "two", "three", "four"}

// wordings of each kind; %s is an object, "ball", and %t a second one.
var wordings = map[string][]string{
	"count":    {"how many objects are there?", "how many things are in the room?", "how many objects do you see?", "count the objects."},
	"colour":   {"what colour is the %s?", "what color is the %s?", "which colour does the %s have?", "what is the colour of the %s?"},
	"exist":    {"is there a %s?", "is a %s in the room?", "do you see a %s?", "can you see a %s?"},
	"camera":   {"which camera sees the %s?", "which cameras see the %s?", "which camera can see the %s?"},
	"motion":   {"how does the %s move?", "what is the %s doing?", "where is the %s going?"},
	"moving":   {"is the %s moving?", "does the %s move?"},
	"moved":    {"what moved?", "what is moving?", "which objects move?", "what moves?"},
	"where":    {"where is the %s?", "on which side is the %s?", "where do you see the %s?"},
	"leftof":   {"is the %s to the left of the %t?", "is the %s left of the %t?"},
	"rightof":  {"is the %s to the right of the %t?", "is the %s right of the %t?"},
	"behind":   {"what is behind the %s?", "which object is behind the %s?", "what does the %s hide?"},
	"left":     {"what left the room?", "what left?", "which object left the room?", "what has left?", "what went away?"},
	"entered":  {"what entered the room?", "what entered?", "which object came into the room?", "what came in?", "what is new?"},
	"changed":  {"what changed?", "what happened?", "what has changed in the room?"},
	"describe": {"what do you see?", "what is in the room?", "describe what you see."},
}

const (
	middle       = 0.10 // tangent of the front bearing up to which an object is in the middle
	middleMargin = 0.03 // nobody is asked about objects closer than this to the border
)

// Ask draws one question of the kind, balanced over its answers as far as the
// room allows; false when nothing can be asked now.
func (w *World) Ask(rng *rand.Rand, kind string) (QA, bool) {
	q, a, ok := w.ask(rng, kind)
	if !ok {
		return QA{}, false
	}
	return QA{kind, q, a}, true
}

func (w *World) ask(rng *rand.Rand, kind string) (question, answer string, ok bool) {
	n := len(w.objs)
	say := func(wording, s, t string) string {
		ws := wordings[wording]
		q := ws[rng.IntN(len(ws))]
		return strings.NewReplacer("%s", s, "%t", t).Replace(q)
	}
	switch kind {
	case "count":
		return say("count", "", ""), numbers[n], true
	case "exist":
		return w.askExist(rng, say)
	case "moved":
		return say("moved", "", ""), w.movers(), true
	case "left":
		return say("left", "", ""), eventName(w.lastLeft), true
	case "entered":
		return say("entered", "", ""), eventName(w.lastCame), true
	case "changed":
		return say("changed", "", ""), w.changes(), true
	case "describe":
		return say("describe", "", ""), w.Caption(), true
	case "hidden":
		for _, i := range rng.Perm(n) {
			if len(w.cams) > 1 && w.seenBy(i) != 3 {
				return say("colour", w.objs[i].Shape.String(), ""), w.objs[i].Color.String(), true
			}
		}
		return "", "", false
	}
	// The rest asks about one object; now and then about one that is not there.
	if kind != "camera" && kind != "relation" && rng.IntN(14) == 0 {
		if s, found := w.absent(rng); found {
			return say(kind, s, ""), "there is no " + s, true
		}
	}
	if n == 0 {
		return "", "", false
	}
	i := w.pick(rng, kind)
	s := w.objs[i].Shape.String()
	switch kind {
	case "colour":
		return say(kind, s, ""), w.objs[i].Color.String(), true
	case "camera":
		if len(w.cams) != 2 {
			return "", "", false
		}
		return say(kind, s, ""), cameraAnswers[w.seenBy(i)], true
	case "motion":
		m := w.objs[i].motion
		if m != Entering && rng.IntN(4) == 0 {
			return say("moving", s, ""), yesNo(m != Still), true
		}
		if m == Still {
			return say(kind, s, ""), "standing still", true
		}
		return say(kind, s, ""), motionWords[m], true
	case "where":
		b := bearing(w.objs[i].Object)
		if d := math.Abs(b) - middle; math.Abs(d) < middleMargin {
			return "", "", false
		}
		return say(kind, s, ""), side(b), true
	case "relation":
		return w.askRelation(rng, i, say)
	}
	return "", "", false
}

// Moving returns the questions that ask how a moving object moves: each wording of
// "motion" about each object that moves, but not about one that is entering.
func (w *World) Moving() []QA {
	var all []QA
	for i := range w.objs {
		if m := w.objs[i].motion; m != Still && m != Entering {
			all = append(all, w.everyWording("motion", i, motionWords[m])...)
		}
	}
	return all
}

// Colours returns the questions for the colour of object i, as Objects counts, in
// each wording.
func (w *World) Colours(i int) []QA { return w.everyWording("colour", i, w.objs[i].Color.String()) }

// everyWording asks about object i in each wording of the kind.
func (w *World) everyWording(kind string, i int, answer string) []QA {
	var all []QA
	for _, q := range wordings[kind] {
		all = append(all, QA{kind, strings.ReplaceAll(q, "%s", w.objs[i].Shape.String()), answer})
	}
	return all
}

// pick draws the object to ask about: the rarer answers first.
func (w *World) pick(rng *rand.Rand, kind string) int {
	i := rng.IntN(len(w.objs))
	for range 6 {
		if kind == "camera" && w.seenBy(i) != 3 && len(w.cams) == 2 ||
			kind == "motion" && w.objs[i].motion != Still ||
			kind != "camera" && kind != "motion" {
			break
		}
		if rng.IntN(3) == 0 {
			break
		}
		i = rng.IntN(len(w.objs))
	}
	return i
}

var cameraAnswers = [4]string{"none", "the front camera", "the side camera", "both cameras"}

// seenBy returns the first two views that show object i, as bits.
func (w *World) seenBy(i int) int {
	bits := 0
	for v := range min(2, len(w.cams)) {
		if w.Sees(v, i) {
			bits |= 1 << v
		}
	}
	return bits
}

type sayer = func(wording, s, t string) string

func (w *World) askExist(rng *rand.Rand, say sayer) (string, string, bool) {
	if len(w.objs) > 0 && rng.IntN(2) == 0 {
		o := w.objs[rng.IntN(len(w.objs))]
		if rng.IntN(3) > 0 {
			return say("exist", o.Shape.String(), ""), "yes", true
		}
		return say("exist", name(o.Object), ""), "yes", true
	}
	if len(w.objs) > 0 && rng.IntN(4) == 0 {
		o := w.objs[rng.IntN(len(w.objs))].Object
		o.Color = (o.Color + 1 + Color(rng.IntN(NumColors-1))) % NumColors
		return say("exist", name(o), ""), "no", true
	}
	s, ok := w.absent(rng)
	if !ok {
		return "", "", false
	}
	return say("exist", s, ""), "no", true
}

// absent draws a shape that is not in the room.
func (w *World) absent(rng *rand.Rand) (string, bool) {
	var here [NumShapes]bool
	for i := range w.objs {
		here[w.objs[i].Shape] = true
	}
	for _, s := range rng.Perm(NumShapes) {
		if !here[s] {
			return Shape(s).String(), true
		}
	}
	return "", false
}

func (w *World) askRelation(rng *rand.Rand, i int, say sayer) (string, string, bool) {
	s := w.objs[i].Shape.String()
	if rng.IntN(2) == 0 || len(w.objs) < 2 {
		// "nothing" would be the answer nearly always: ask where there is a pair first.
		for j := range w.objs {
			if f, ok := w.inFront(j); ok && rng.IntN(3) > 0 {
				return say("behind", w.objs[f].Shape.String(), ""), "the " + name(w.objs[j].Object), true
			}
		}
		if len(w.cams) < 2 {
			return "", "", false
		}
		for j := range w.objs {
			if f, ok := w.inFront(j); ok && f == i {
				return say("behind", s, ""), "the " + name(w.objs[j].Object), true
			}
		}
		return say("behind", s, ""), "nothing", true
	}
	j := rng.IntN(len(w.objs) - 1)
	if j >= i {
		j++
	}
	d := bearing(w.objs[i].Object) - bearing(w.objs[j].Object)
	if math.Abs(d) < apart {
		return "", "", false
	}
	t := w.objs[j].Shape.String()
	if rng.IntN(2) == 0 {
		return say("leftof", s, t), yesNo(d < 0), true
	}
	return say("rightof", s, t), yesNo(d > 0), true
}

// movers names what moved since the frame set before, from left to right.
func (w *World) movers() string {
	var names []string
	for _, p := range w.order() {
		if m := w.objs[p.index].motion; m != Still && m != Entering {
			names = append(names, "the "+name(w.objs[p.index].Object))
		}
	}
	switch n := len(names); n {
	case 0:
		return "nothing"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// changes names the newest departure or arrival since the World began; both when
// they fell into one frame set.
func (w *World) changes() string {
	l, e := w.lastLeft, w.lastCame
	gone, came := "", ""
	if l != nil && (e == nil || l.Frame >= e.Frame) {
		gone = "the " + name(l.Object) + " left"
	}
	if e != nil && (l == nil || e.Frame >= l.Frame) {
		came = "the " + name(e.Object) + " entered"
	}
	switch {
	case gone != "" && came != "":
		return gone + " and " + came
	case gone+came == "":
		return "nothing"
	}
	return gone + came
}

func eventName(e *Event) string {
	if e == nil {
		return "nothing"
	}
	return "the " + name(e.Object)
}

func side(b float64) string {
	switch {
	case b < -middle:
		return "on the left"
	case b > middle:
		return "on the right"
	}
	return "in the middle"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
