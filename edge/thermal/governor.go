// Package thermal keeps a device below a temperature by letting it work less.
//
// A processor that gets too hot is slowed down by its firmware, all of it, cameras
// and other programs included; and a fanless box in the sun gets there with any
// model. The governor begins earlier: it says which share of the time may be
// spent on work, the duty, and whoever works rests for the rest.
package thermal

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// Config says what is held.
type Config struct {
	Limit float64 // degrees Celsius that must not be reached; 0: nothing is held
	Root  string  // of the zones; empty: [Root]

	// Changed is told of each change of the duty, from the governor's goroutine.
	Changed func(State)
}

// State is how warm it is, and what is done about it.
type State struct {
	Celsius float64 // of the hottest zone of the processor
	Zone    string  // its kind; empty: no zone can be read
	Duty    float64 // share of the time for work, in (0, 1]
	Limit   float64 // that is held; 0: none
}

// String is a line for people.
func (s State) String() string {
	switch {
	case s.Zone == "":
		return "no temperature can be read, working all of the time"
	case s.Duty == 1:
		return fmt.Sprintf("%s has %.0f °C, working all of the time", s.Zone, s.Celsius)
	}
	return fmt.Sprintf("%s has %.0f °C, working %.0f %% of the time to stay below %.0f °C", s.Zone, s.Celsius, 100*s.Duty, s.Limit)
}

// The law. Below the band of warm degrees before the limit all of the time is for
// work, at its end the least share; between them it falls evenly, in steps. It rises
// again only when it is cooler by hysteresis than where it fell, and two
// changes are dwell apart, so that there are two in a minute at most: what a
// smaller duty does to the temperature is seen after some ten seconds.
const (
	warm       = 10.0 // degrees
	hysteresis = 5.0  // degrees
	steps      = 6    // of the duty, each of the same share
	least      = 0.1
	dwell      = 30 * time.Second
	every      = 2 * time.Second // between two readings
)

// Governor holds a limit. Its zero value is not useful, make one with [New].
type Governor struct {
	cfg   Config
	zones []zone

	mu      sync.Mutex
	state   State
	changed time.Time // when the duty last changed; zero: never
}

// New finds the zones. A machine without any is let work.
func New(cfg Config) *Governor {
	if cfg.Root == "" {
		cfg.Root = Root
	}
	g := &Governor{cfg: cfg, zones: find(cfg.Root), state: State{Duty: 1, Limit: cfg.Limit}}
	g.measure()
	return g
}

// State may be called at any time.
func (g *Governor) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// Hold sets [Config].Limit anew.
func (g *Governor) Hold(limit float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Limit = limit
}

// Run reads the zones until ctx ends.
func (g *Governor) Run(ctx context.Context) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if s, changed := g.step(); changed && g.cfg.Changed != nil {
			g.cfg.Changed(s)
		}
	}
}

// measure reads the zones.
func (g *Governor) measure() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Celsius, g.state.Zone = 0, ""
	for _, z := range g.zones {
		if c, ok := z.read(); ok && (g.state.Zone == "" || c > g.state.Celsius) {
			g.state.Celsius, g.state.Zone = c, z.kind
			if z.kind == "" {
				g.state.Zone = "a zone without a name"
			}
		}
	}
}

// step reads the zones and follows the law.
func (g *Governor) step() (s State, changed bool) {
	g.measure()
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if d := g.wanted(); d != g.state.Duty && (g.changed.IsZero() || now.Sub(g.changed) >= dwell) {
		g.state.Duty, g.changed, changed = d, now, true
	}
	return g.state, changed
}

// wanted is the duty that the temperature asks for, seen from the present one. A device
// whose zones can no longer be read keeps what it has.
func (g *Governor) wanted() float64 {
	s := &g.state
	switch {
	case s.Limit <= 0:
		return 1
	case s.Zone == "":
		return s.Duty
	}
	if d := duty(s.Celsius, s.Limit); d < s.Duty {
		return d
	}
	return max(s.Duty, duty(s.Celsius+hysteresis, s.Limit))
}

// duty is the share for a temperature, without a past.
func duty(celsius, limit float64) float64 {
	into := (celsius - (limit - warm)) / warm // 0 to 1 within the band
	step := math.Ceil(min(max(into, 0), 1) * steps)
	return 1 - step*(1-least)/steps
}
