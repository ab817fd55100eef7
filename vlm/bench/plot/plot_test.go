package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestWriteSVG(t *testing.T) {
	c := Chart{Title: "a < b & c", X: "scenes", Y: "tok/s", Log: true, Diagonal: true, Series: []Series{
		{"one", []float64{1, 2, 4, 8}, []float64{10, 19, 36, 61}},
		{"two", []float64{1, 2}, []float64{5, 9}},
	}}
	var b bytes.Buffer
	if err := c.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.Bytes())
		}
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
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
		c := Chart{Log: log, Series: []Series{{"", []float64{3}, []float64{0}}}}
		var b bytes.Buffer
		if err := c.WriteSVG(&b); err != nil || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("log %v: %v\n%s", log, err, b.String())
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []Chart{
		{},
		{Series: []Series{{"x", []float64{1}, nil}}},
		{Series: []Series{{"x", []float64{1}, []float64{math.NaN()}}}},
		{Series: []Series{{"x", []float64{1}, []float64{-1}}}},
		{Log: true, Series: []Series{{"x", []float64{0}, []float64{1}}}},
	} {
		if err := c.WriteSVG(io.Discard); err == nil {
			t.Errorf("%+v was drawn", c)
		}
	}
}
