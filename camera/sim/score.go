package sim

import "strings"

// Score compares a caption with the truth, slot by slot. Each object of the
// truth has three slots (present, colour, motion), the order with the hiding is
// one, the departure is one; an object too many is one wrong slot.
func Score(caption, truth string) (right, total int, exact bool) {
	got, want := parse(caption), parse(truth)
	add := func(ok bool) {
		total++
		if ok {
			right++
		}
	}
	for _, w := range want.items {
		g, ok := got.find(w.shape)
		add(ok)
		add(ok && g.color == w.color)
		add(ok && g.motion == w.motion)
	}
	for _, g := range got.items {
		if _, ok := want.find(g.shape); !ok {
			add(false)
		}
	}
	add(got.sequence(want) == want.sequence(got))
	add(got.left == want.left)
	return right, total, strings.TrimSpace(caption) == truth
}

// Tells returns what a caption says left, or entered, as a question of that kind would be
// answered; false when it speaks of none.
func Tells(caption, kind string) (answer string, ok bool) {
	d := parse(caption)
	if kind == "left" {
		return strings.CutSuffix(d.left, " left")
	}
	for _, i := range d.items {
		if i.motion == motionWords[Entering] {
			return "the " + i.color + " " + i.shape, true
		}
	}
	return "", false
}

type item struct {
	color, shape, motion string
	behind               bool
}

type description struct {
	items []item
	left  string
}

func (d description) find(shape string) (item, bool) {
	for _, i := range d.items {
		if i.shape == shape {
			return i, true
		}
	}
	return item{}, false
}

// sequence is the order of the shapes that both captions name.
func (d description) sequence(other description) string {
	var b strings.Builder
	for _, i := range d.items {
		if _, ok := other.find(i.shape); ok {
			if i.behind {
				b.WriteString("behind ")
			}
			b.WriteString(i.shape + " ")
		}
	}
	return b.String()
}

// parse reads a caption leniently: words that it does not know are skipped.
func parse(caption string) description {
	var d description
	body, event, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(caption), "."), ";")
	d.left = strings.TrimSpace(event)
	if body = strings.TrimSpace(body); body == "" || body == "the room is empty" {
		return d
	}
	for part := range strings.SplitSeq(body, ",") {
		part = strings.TrimSpace(part)
		var i item
		part, i.behind = strings.CutPrefix(part, "behind it ")
		words := strings.Fields(strings.TrimPrefix(part, "a "))
		if len(words) < 2 {
			d.items = append(d.items, i)
			continue
		}
		i.color, i.shape, i.motion = words[0], words[1], strings.Join(words[2:], " ")
		if _, twice := d.find(i.shape); twice {
			i.shape += " again"
		}
		d.items = append(d.items, i)
	}
	return d
}
