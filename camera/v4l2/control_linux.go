package v4l2

import (
	"fmt"
	"slices"
	"strings"
)

// setControls sets controls by the names that v4l2-ctl gives them, such as
// exposure_time_absolute or power_line_frequency, in the order of their numbers:
// drivers number a switch of automatics before what it governs.
func (d *device) setControls(want map[string]int32) error {
	if len(want) == 0 {
		return nil
	}
	var known []string
	left := len(want)
	for id := uint32(controlNext); ; {
		q := queryControl{id: id}
		if ioctl(d.fd, reqQueryCtrl, &q) != nil || q.id&^controlNext == id&^controlNext {
			break
		}
		id = q.id | controlNext
		name := controlName(text(q.name[:]))
		v, ok := want[name]
		if q.flags&controlDisabled != 0 || len(known) == 4*maxOffers {
			continue
		}
		known = append(known, name)
		if !ok {
			continue
		}
		left--
		if v < q.min || v > q.max && q.typ != controlButton {
			return fmt.Errorf("control %s: %d is not in %d..%d", name, v, q.min, q.max)
		}
		if err := ioctl(d.fd, reqSetCtrl, &control{q.id, v}); err != nil {
			return fmt.Errorf("control %s to %d: %w", name, v, err)
		}
	}
	if left == 0 {
		return nil
	}
	for name := range want {
		if !slices.Contains(known, name) {
			return fmt.Errorf("no control %s; it has %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// controlName writes a control's title as v4l2-ctl does: lower case, with an
// underscore for each run of anything but letters and digits.
func controlName(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "_")
}
