package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/visualrwkv/edged/vlm/bench/plot"
	"github.com/visualrwkv/edged/weights"
)

// recallReport is the result of "edged eval -sim -memory": whether the newest departure or
// arrival is still known so many frame sets later.
type recallReport struct {
	Model  string      `json:"model"`
	Window int         `json:"window"` // frame sets, of what is said about window mode
	Rows   []recallRow `json:"rows"`
}

// recallRow is about questions asked the same number of frame sets after the event. All but
// Frames, Asked and Distractions are fractions of the questions.
type recallRow struct {
	Event      string `json:"event"`      // left or entered, as the question asks
	Distracted bool   `json:"distracted"` // other things happened since, else nothing did
	Frames     int    `json:"frames"`     // frame sets since that of the event
	Asked      int    `json:"asked"`

	State   float64 `json:"state"`   // right from one memory carried all the time
	Low     float64 `json:"low"`     // 95 % confidence interval of State
	High    float64 `json:"high"`    //
	Nothing float64 `json:"nothing"` // State's answer was that nothing did

	Window     float64 `json:"window"`      // right in window mode
	NewestOnly float64 `json:"newest_only"` // right from a memory of the newest frame set
	Log        float64 `json:"log"`         // right in the newest caption that tells of such an event
	Chance     float64 `json:"chance"`      // of guessing among what the newest frame set leaves possible

	Distractions float64 `json:"distractions"` // frame sets since the event in which something moved, came or left; mean
}

// recallWaits are the frame sets after the event at which is asked. The long ones cost more
// than all others together, so one clip in a few goes on for them.
var recallWaits = []struct{ frames, oneIn int }{{1, 1}, {3, 1}, {10, 1}, {30, 1}, {100, 1}, {300, 4}, {1000, 4}}

// recallWindow is how many frame sets the window holds. Half of them fit into the shortest
// [sim.RecallClip], so that it has begun to slide before the event.
const recallWindow = 32

// recallSorts are the kinds of event, each without and with distractions.
const recallSorts = 4

// recallTally counts the answers of one row.
type recallTally struct {
	state, nothing, window, newest, log share
	chance                              float64
	distractions                        int
}

func (t *recallTally) plus(o recallTally) {
	t.state.plus(o.state)
	t.nothing.plus(o.nothing)
	t.window.plus(o.window)
	t.newest.plus(o.newest)
	t.log.plus(o.log)
	t.chance += o.chance
	t.distractions += o.distractions
}

// row is what was counted, without what it is about.
func (t *recallTally) row() recallRow {
	n := float64(t.state.total)
	r := recallRow{
		Asked: t.state.total, State: t.state.fraction(), Nothing: t.nothing.fraction(), Window: t.window.fraction(),
		NewestOnly: t.newest.fraction(), Log: t.log.fraction(), Chance: t.chance / n, Distractions: float64(t.distractions) / n,
	}
	r.Low, r.High = t.state.interval()
	return r
}

// recall evaluates how long the newest departures and arrivals are remembered. Clip i of
// the result's sort s is [sim.RecallClip] 2i + s%2; each is shown twice, and followed by
// stillness (s < 2) and by a room that goes on (s >= 2).
func (e *evaluation) recall(ctx context.Context) (*recallReport, error) {
	n := e.clips
	if n == 0 {
		n = 100
	}
	waits := 0
	for waits < len(recallWaits) && recallWaits[waits].frames <= e.longest {
		waits++
	}
	results := make([][]recallTally, recallSorts*n) // [i*recallSorts+s][wait]
	err := e.each(ctx, "event", len(results), func(ctx context.Context, v *viewer, at int) error {
		i, s := at/recallSorts, at%recallSorts
		for _, w := range recallWaits[:waits] {
			if i%w.oneIn == 0 {
				results[at] = append(results[at], recallTally{})
			}
		}
		t, err := newTrial(ctx, e, v, 2*i+s%2)
		if err != nil {
			return err
		}
		return t.run(ctx, s >= 2, results[at])
	})
	if err != nil {
		return nil, err
	}
	r := &recallReport{Model: e.model.Info().Name, Window: recallWindow}
	for s := range recallSorts {
		for k, w := range recallWaits[:waits] {
			var all recallTally
			for at := s; at < len(results); at += recallSorts {
				if k < len(results[at]) {
					all.plus(results[at][k])
				}
			}
			row := all.row()
			row.Event, row.Distracted, row.Frames = eventKind(s), s >= 2, w.frames
			r.Rows = append(r.Rows, row)
		}
	}
	return r, nil
}

// remembers evaluates, and draws the result where it is asked for.
func (e *evaluation) remembers(ctx context.Context) (*recallReport, error) {
	r, err := e.recall(ctx)
	if err == nil && e.svg != "" {
		err = weights.WriteFile(e.svg, func(w io.Writer) error { return r.chart().WriteSVG(w) })
	}
	return r, err
}

// eventKind is what is asked about clip i of sim.EventClip and sim.RecallClip.
func eventKind(i int) string { return [2]string{"left", "entered"}[i%2] }

// chart draws what is known after how long, with the confidence intervals.
func (r *recallReport) chart() *plot.Chart {
	c := &plot.Chart{
		Title: r.Model + ": what left and what entered last, asked later",
		X:     "frame sets after the event", Y: "answers right, % (bars: 95 % confidence)", Log: true,
	}
	percent := func(name string, rows []recallRow, value func(recallRow) float64) *plot.Series {
		s := plot.Series{Name: name}
		for _, row := range rows {
			s.X, s.Y = append(s.X, float64(row.Frames)), append(s.Y, 100*value(row))
		}
		c.Series = append(c.Series, s)
		return &c.Series[len(c.Series)-1]
	}
	var busy []recallRow // departures, with distractions
	for _, rows := range r.tables() {
		name := fmt.Sprintf("what %s, while nothing happens", rows[0].Event)
		if rows[0].Distracted {
			name = fmt.Sprintf("what %s, while other things happen", rows[0].Event)
		}
		s := percent(name, rows, func(row recallRow) float64 { return row.State })
		for _, row := range rows {
			s.Low, s.High = append(s.Low, 100*row.Low), append(s.High, 100*row.High)
		}
		if rows[0].Event == "left" {
			busy = rows
		}
	}
	percent(fmt.Sprintf("what left, while other things happen: with a window of %d", r.Window), busy, func(row recallRow) float64 { return row.Window })
	percent("the same: newest frame set only", busy, func(row recallRow) float64 { return row.NewestOnly })
	percent("the same: caption log", busy, func(row recallRow) float64 { return row.Log })
	return c
}

// tables are the rows about one kind of event each, without and with distractions.
func (r *recallReport) tables() (all [][]recallRow) {
	for from := 0; from < len(r.Rows); {
		to := from + 1
		for to < len(r.Rows) && r.Rows[to].Frames > r.Rows[to-1].Frames {
			to++
		}
		all = append(all, r.Rows[from:to])
		from = to
	}
	return all
}

// String is the report as tables.
func (r *recallReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, answers right in %%\n", r.Model)
	for _, rows := range r.tables() {
		since := "while nothing happens"
		if rows[0].Distracted {
			since = "while other things happen"
		}
		fmt.Fprintf(&b, "\nwhat %s last, %s\n", rows[0].Event, since)
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "frame sets later\tasked\tmemory\t95 %%\tsays nothing\twindow %d\tnewest only\tcaption log\tguessing\tbusy frame sets\t\n", r.Window)
		for _, row := range rows {
			fmt.Fprintf(t, "%d\t%d\t%.1f\t%.0f-%.0f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t\n", row.Frames, row.Asked, 100*row.State, 100*row.Low, 100*row.High,
				100*row.Nothing, 100*row.Window, 100*row.NewestOnly, 100*row.Log, 100*row.Chance, row.Distractions)
		}
		t.Flush()
	}
	return b.String()
}
