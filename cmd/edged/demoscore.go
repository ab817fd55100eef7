package main

import (
	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/wire"
)

// verdict is a published caption, and how it compares with the truth where that
// is known.
type verdict struct {
	frame        uint64
	text         string
	tags         []string // that a plugin gave it
	alert        bool     // it is no caption, but what a plugin wants to be known
	views        []string
	ms           wire.StageMS
	known        bool
	truth        string
	exact        bool
	right, total int // slots
}

// tally sums up verdicts.
type tally struct {
	scored, exact, right, total int
}

// add compares c with its truth and counts it.
func (t *tally) add(c *verdict) {
	if !c.known {
		return
	}
	c.right, c.total, c.exact = sim.Score(c.text, c.truth)
	t.scored++
	t.right += c.right
	t.total += c.total
	if c.exact {
		t.exact++
	}
}

// fractions of captions and of slots that were right; nil when none was scored.
func (t *tally) fractions() (exact, slots *float64) {
	if t.scored == 0 {
		return nil, nil
	}
	e, s := float64(t.exact)/float64(t.scored), float64(t.right)/float64(t.total)
	return &e, &s
}

// summary is the last line of a run. The fractions are null when there was no
// caption, or no truth to compare with.
type summary struct {
	Type        string   `json:"type"`
	Frames      uint64   `json:"frames"`
	Captions    uint64   `json:"captions"`
	Exact       *float64 `json:"exact"`
	Slots       *float64 `json:"slots"`
	RSSBytes    int64    `json:"rss_bytes"`
	StateBytes  int64    `json:"state_bytes"`
	Skipped     uint64   `json:"skipped"`  // frames overtaken by newer ones
	Gated       uint64   `json:"gated"`    // frame sets without a change
	Repeated    uint64   `json:"repeated"` // captions not repeated
	BadPictures uint64   `json:"bad_pictures,omitempty"`
}
