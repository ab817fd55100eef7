// Package plot draws line and bar charts as SVG: small files without scripts or external
// fonts, readable on light and dark pages.
package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Series is one line; points in the order in which they are joined.
type Series struct {
	Name      string
	X, Y      []float64
	Low, High []float64 // ends of a bar through each point, such as its confidence interval; nil: none
}

// Chart is a line chart. The vertical axis begins at 0.
type Chart struct {
	Title, X, Y string // texts; X and Y of the axes, with units
	Log         bool   // the horizontal axis is in powers of two; all X must be positive
	Series      []Series
	Diagonal    bool // also draw what proportion to X would be, from the first point of the first series
}

// Sizes of a drawing in user units.
const (
	width, height           = 720, 420
	left, right, top, below = 70, 20, 64, 56
	lineHeight              = 18
)

// colours are told apart by people with any colour vision (Okabe and Ito).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#999999"}

func colour(i int) string { return colours[i%len(colours)] }

// frame maps values to the drawing.
type frame struct {
	x0, x1, y1 float64
	log        bool
	base       float64 // lower edge of the plotting area
}

func (f *frame) x(v float64) float64 {
	v, lo, hi := f.scale(v), f.scale(f.x0), f.scale(f.x1)
	return left + (v-lo)/(hi-lo)*(width-left-right)
}

func (f *frame) scale(v float64) float64 {
	if f.log {
		return math.Log2(v)
	}
	return v
}

func (f *frame) y(v float64) float64 { return f.base - v/f.y1*(f.base-top) }

// WriteSVG writes the drawing. It fails when there is nothing to draw, when a
// series has not as many X as Y, or as bars where it has bars, and on values that are not
// finite or negative.
func (c *Chart) WriteSVG(w io.Writer) error {
	f, err := c.frame()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	begin(&b, f, c.Title, c.Y, len(c.Series))
	for _, v := range c.ticks(f) {
		line(&b, f.x(v), f.base, f.x(v), f.base+5, `stroke="#555"`)
		text(&b, f.x(v), f.base+20, "middle", "", label(v))
	}
	line(&b, left, f.base, width-right, f.base, `stroke="#555"`)
	text(&b, (left+width-right)/2, f.base+42, "middle", "", c.X)
	if c.Diagonal {
		s := c.Series[0]
		slope := s.Y[0] / s.X[0]
		end := min(f.x1, f.y1/slope)
		// On a logarithmic axis a proportion is a curve.
		b.WriteString(`<polyline fill="none" stroke="#999" stroke-dasharray="4 4" points="`)
		for i := range 33 {
			v := f.x0 + (end-f.x0)*float64(i)/32
			fmt.Fprintf(&b, "%.1f,%.1f ", f.x(v), f.y(v*slope))
		}
		b.WriteString(`"/>` + "\n")
	}
	for i, s := range c.Series {
		c.draw(&b, f, s, colour(i), float64(height+lineHeight*i))
	}
	b.WriteString("</svg>\n")
	_, err = w.Write(b.Bytes())
	return err
}

// begin opens the drawing, with room for a legend, and draws what all charts have: title
// and vertical axis.
func begin(b *bytes.Buffer, f *frame, title, y string, legend int) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#555">`+"\n", width, height+lineHeight*legend)
	b.WriteString(`<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	text(b, width/2, 24, "middle", `font-size="16" fill="#222"`, title)
	step := nice(f.y1 / 5)
	for i := 0; float64(i)*step <= f.y1*1.0001; i++ {
		v := float64(i) * step
		line(b, left, f.y(v), width-right, f.y(v), `stroke="#ddd"`)
		text(b, left-8, f.y(v)+4, "end", "", label(v))
	}
	text(b, left, top-16, "start", "", y)
}

// draw adds one series and its line in the legend.
func (c *Chart) draw(b *bytes.Buffer, f *frame, s Series, paint string, legend float64) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, paint)
	for i := range s.X {
		fmt.Fprintf(b, "%.1f,%.1f ", f.x(s.X[i]), f.y(s.Y[i]))
	}
	b.WriteString(`"/>` + "\n")
	for i := range s.Low {
		x := f.x(s.X[i])
		line(b, x, f.y(s.Low[i]), x, f.y(s.High[i]), fmt.Sprintf(`stroke="%s" stroke-width="1.5" opacity="0.6"`, paint))
	}
	for i := range s.X {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", f.x(s.X[i]), f.y(s.Y[i]), paint)
	}
	line(b, left, legend, left+24, legend, fmt.Sprintf(`stroke="%s" stroke-width="3"`, paint))
	text(b, left+32, legend+4, "start", "", s.Name)
}

// frame finds the range of the values.
func (c *Chart) frame() (*frame, error) {
	f := &frame{x0: math.Inf(1), x1: math.Inf(-1), log: c.Log, base: height - below}
	for _, s := range c.Series {
		if len(s.X) != len(s.Y) || len(s.X) == 0 {
			return nil, fmt.Errorf("series %q has %d x and %d y", s.Name, len(s.X), len(s.Y))
		}
		for i, x := range s.X {
			y := s.Y[i]
			if !(x >= 0 && y >= 0) || math.IsInf(x+y, 0) || x == 0 && (c.Log || c.Diagonal) {
				return nil, fmt.Errorf("series %q has a point at %v, %v", s.Name, x, y)
			}
			f.x0, f.x1, f.y1 = min(f.x0, x), max(f.x1, x), max(f.y1, y)
		}
		if len(s.Low) != len(s.High) || len(s.Low) != 0 && len(s.Low) != len(s.X) {
			return nil, fmt.Errorf("series %q has %d points and bars of %d low and %d high ends", s.Name, len(s.X), len(s.Low), len(s.High))
		}
		for i, low := range s.Low {
			high := s.High[i]
			if !(low >= 0 && high >= low) || math.IsInf(high, 1) {
				return nil, fmt.Errorf("series %q has a bar from %v to %v", s.Name, low, high)
			}
			f.y1 = max(f.y1, high)
		}
	}
	if len(c.Series) == 0 {
		return nil, fmt.Errorf("nothing to draw in %q", c.Title)
	}
	if f.x0 == f.x1 {
		f.x0, f.x1 = f.x0/2, f.x1*2+1
		if f.log {
			f.x0 = max(f.x0, f.x1/8)
		}
	}
	if f.y1 == 0 {
		f.y1 = 1
	}
	f.y1 *= 1.1
	return f, nil
}

// ticks are the marks of the horizontal axis.
func (c *Chart) ticks(f *frame) (at []float64) {
	if c.Log {
		for v := math.Exp2(math.Ceil(math.Log2(f.x0))); v <= f.x1; v *= 2 {
			at = append(at, v)
		}
		return at
	}
	step := nice((f.x1 - f.x0) / 6)
	for v := math.Ceil(f.x0/step) * step; v <= f.x1*1.0001; v += step {
		at = append(at, v)
	}
	return at
}

// nice rounds up to 1, 2 or 5 times a power of ten.
func nice(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*p >= v*0.9999 {
			return m * p
		}
	}
	return 10 * p
}

func label(v float64) string {
	if v >= 1024 && v == math.Trunc(v/1024)*1024 {
		return strconv.FormatFloat(v/1024, 'g', 6, 64) + "K"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

func line(b *bytes.Buffer, x0, y0, x1, y1 float64, style string) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x0, y0, x1, y1, style)
}

func text(b *bytes.Buffer, x, y float64, anchor, style, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>`, x, y, anchor, style)
	xml.EscapeText(b, []byte(s)) // a buffer takes everything
	b.WriteString("</text>\n")
}
