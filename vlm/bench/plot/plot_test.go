package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

// elements counts the elements of a drawing by name.
func elements(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	count := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
}

func TestWriteSVG(t *testing.T) {
	c := Chart{Title: "a < b & c", X: "scenes", Y: "tok/s", Log: true, Diagonal: true, Series: []Series{
		{Name: "one", X: []float64{1, 2, 4, 8}, Y: []float64{10, 19, 36, 61}},
		{Name: "two", X: []float64{1, 2}, Y: []float64{5, 9}},
	}}
	var b bytes.Buffer
	if err := c.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	count := elements(t, b.Bytes())
	if count["polyline"] != 3 || count["circle"] != 6 {
		t.Errorf("%v", count)
	}
	for _, bad := range []string{"NaN", "Inf", "a < b"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%s in the drawing", bad)
		}
	}
}

func TestSinglePoints(t *testing.T) {
	for _, log := range []bool{false, true} {
		c := Chart{Log: log, Series: []Series{{X: []float64{3}, Y: []float64{0}}}}
		var b bytes.Buffer
		if err := c.WriteSVG(&b); err != nil || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("log %v: %v\n%s", log, err, b.String())
		}
	}
}

// TestIntervals: a bar through each point, inside the plotting area however high it is.
func TestIntervals(t *testing.T) {
	plain := Series{X: []float64{1, 2}, Y: []float64{5, 9}}
	barred := plain
	barred.Low, barred.High = []float64{4, 9}, []float64{20, 10}
	var before, after bytes.Buffer
	if err := (&Chart{Series: []Series{plain}}).WriteSVG(&before); err != nil {
		t.Fatal(err)
	}
	if err := (&Chart{Series: []Series{barred}}).WriteSVG(&after); err != nil {
		t.Fatal(err)
	}
	bars := 0
	for _, l := range strings.Split(after.String(), "\n") {
		var x0, y0, x1, y1 float64
		if n, _ := fmt.Sscanf(l, `<line x1="%f" y1="%f" x2="%f" y2="%f"`, &x0, &y0, &x1, &y1); n != 4 || !strings.Contains(l, "opacity") {
			continue
		}
		if bars++; x0 != x1 || y1 >= y0 || y1 < top || y0 > height-below {
			t.Error(l)
		}
	}
	if bars != 2 || strings.Contains(before.String(), "opacity") {
		t.Errorf("%d bars", bars)
	}
}

func TestBars(t *testing.T) {
	c := Bars{Title: "a < b", Groups: []string{"one", "two", "three"}, Series: []Series{
		{Name: "x", Y: []float64{1, 0.5, 0}}, {Name: "y", Y: []float64{2, 0.25, 0.125}},
	}}
	var b bytes.Buffer
	if err := c.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	// The background, a bar for each value and a mark for each series.
	if n := elements(t, b.Bytes())["rect"]; n != 1+6+2 {
		t.Errorf("%d rectangles", n)
	}
	// Half of the value is half as high.
	var high, low float64
	for _, line := range strings.Split(b.String(), "\n") {
		var x, y, w, h float64
		if n, _ := fmt.Sscanf(line, `<rect x="%f" y="%f" width="%f" height="%f"`, &x, &y, &w, &h); n == 4 && w > 30 && strings.Contains(line, colour(0)) {
			if high == 0 {
				high = h
			} else if low == 0 {
				low = h
			}
			if d := y + h - (height - below); math.Abs(d) > 0.11 {
				t.Errorf("a bar ends %v beside the axis", d)
			}
		}
	}
	if high <= 0 || math.Abs(low*2-high) > 0.3 {
		t.Errorf("bars of 1 and 0.5 are %v and %v high", high, low)
	}
	for _, c := range []Bars{
		{},
		{Groups: []string{"a"}},
		{Series: []Series{{}}},
		{Groups: []string{"a"}, Series: []Series{{Y: []float64{1, 2}}}},
		{Groups: []string{"a"}, Series: []Series{{Y: []float64{math.Inf(1)}}}},
		{Groups: []string{"a"}, Series: []Series{{Y: []float64{-1}}}},
	} {
		if err := c.WriteSVG(io.Discard); err == nil {
			t.Errorf("%+v was drawn", c)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []Chart{
		{},
		{Series: []Series{{X: []float64{1}}}},
		{Series: []Series{{X: []float64{1}, Y: []float64{math.NaN()}}}},
		{Series: []Series{{X: []float64{1}, Y: []float64{-1}}}},
		{Log: true, Series: []Series{{X: []float64{0}, Y: []float64{1}}}},
		{Series: []Series{{X: []float64{1}, Y: []float64{1}, Low: []float64{1}}}},
		{Series: []Series{{X: []float64{1, 2}, Y: []float64{1, 1}, Low: []float64{1}, High: []float64{1}}}},
		{Series: []Series{{X: []float64{1}, Y: []float64{1}, Low: []float64{2}, High: []float64{1}}}},
		{Series: []Series{{X: []float64{1}, Y: []float64{1}, Low: []float64{-1}, High: []float64{1}}}},
		{Series: []Series{{X: []float64{1}, Y: []float64{1}, Low: []float64{0}, High: []float64{math.Inf(1)}}}},
	} {
		if err := c.WriteSVG(io.Discard); err == nil {
			t.Errorf("%+v was drawn", c)
		}
	}
}
