package plot

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Bars is a chart of groups of bars: each series has a bar in each group, and the value
// stands over it. The vertical axis begins at 0.
type Bars struct {
	Title, Y string // texts; Y of the axis, with the unit
	Groups   []string
	Series   []Series // Y has a value for each group; X is not used
}

// Share of a group's room that its bars take.
const barShare = 0.75

// WriteSVG writes the drawing. It fails when there is nothing to draw, when a series has
// not as many values as there are groups, and on values that are not finite or negative.
func (c *Bars) WriteSVG(w io.Writer) error {
	f := &frame{base: height - below}
	for _, s := range c.Series {
		if len(s.Y) != len(c.Groups) {
			return fmt.Errorf("series %q has %d values for %d groups", s.Name, len(s.Y), len(c.Groups))
		}
		for _, v := range s.Y {
			if !(v >= 0) || math.IsInf(v, 1) {
				return fmt.Errorf("series %q has a value of %v", s.Name, v)
			}
			f.y1 = max(f.y1, v*1.1)
		}
	}
	if len(c.Series) == 0 || len(c.Groups) == 0 {
		return fmt.Errorf("nothing to draw in %q", c.Title)
	}
	if f.y1 == 0 {
		f.y1 = 1
	}
	digits := max(0, 2-int(math.Floor(math.Log10(f.y1)))) // three of the largest
	var b bytes.Buffer
	begin(&b, f, c.Title, c.Y, len(c.Series))
	room := float64(width-left-right) / float64(len(c.Groups))
	bar := room * barShare / float64(len(c.Series))
	for g, name := range c.Groups {
		middle := left + room*(float64(g)+0.5)
		text(&b, middle, f.base+20, "middle", "", name)
		x := middle - room*barShare/2
		for i, s := range c.Series {
			rect(&b, x+1, f.y(s.Y[g]), bar-2, f.base-f.y(s.Y[g]), colour(i))
			text(&b, x+bar/2, f.y(s.Y[g])-5, "middle", `stroke="#fff" stroke-width="4" paint-order="stroke"`, strconv.FormatFloat(s.Y[g], 'f', digits, 64))
			x += bar
		}
	}
	line(&b, left, f.base, width-right, f.base, `stroke="#555"`)
	for i, s := range c.Series {
		y := float64(height - 8 + lineHeight*i)
		rect(&b, left, y-6, 24, 12, colour(i))
		text(&b, left+32, y+4, "start", "", s.Name)
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

func rect(b *bytes.Buffer, x, y, w, h float64, fill string) {
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, h, fill)
}
