package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"
)

// Limits of what plugins write, bytes.
const (
	maxText   = 4 << 10
	maxAlert  = 1 << 10
	maxTags   = 8
	maxTag    = 64
	maxAnswer = 64 << 10 // of JSON, in which a byte may take six
)

// Caption is a text about a scene.
type Caption struct {
	Text  string
	Lang  string // as BCP 47 has it, or empty
	Time  time.Time
	Clock time.Duration // as Options.Clock has it
	Frame uint64        // number of the frame set
	Views []string      // that were seen
}

// Action is what becomes of a caption.
type Action string

// Actions.
const (
	Pass    Action = "pass"
	Drop    Action = "drop"
	Replace Action = "replace"
)

// Answer is what a plugin says of a caption.
type Answer struct {
	Action Action
	Text   string   // instead of the caption's, with Replace
	Tags   []string // to be added, up to 8 of 1 to 64 bytes
	Alert  string   // to be raised, with the permission and within the limits of emit; empty: none

	Blocked bool // the plugin has not answered, and what it has not answered about is for nobody
}

// Caption asks the plugin about a caption. What goes wrong in the plugin lets it pass, or blocks it, as
// Options.OnFailure says.
func (p *Plugin) Caption(ctx context.Context, c *Caption) Answer {
	pass := Answer{Action: Pass}
	if !p.caption {
		return pass
	}
	pass.Blocked = p.blocks.Load()
	p.calls.Lock()
	defer p.calls.Unlock()
	in := p.in
	if in == nil {
		return pass
	}
	input, err := json.Marshal(struct {
		Scene string   `json:"scene"`
		Text  string   `json:"text"`
		Lang  string   `json:"lang"`
		Time  int64    `json:"time"`
		Clock int64    `json:"clock"`
		Frame uint64   `json:"frame"`
		Views []string `json:"views"`
	}{p.opts.Scene, c.Text, c.Lang, c.Time.UnixMilli(), c.Clock.Milliseconds(), c.Frame, append([]string{}, c.Views...)})
	if err != nil { // strings and numbers: cannot happen
		p.once("caption", fmt.Sprintf("a caption cannot be written as JSON: %v", err))
		return pass
	}
	began := time.Now()
	in.begin(ctx, p.opts.CallLimit)
	data, err := in.ask(exportCaption, in.caption, nil, input, maxAnswer)
	a := pass
	if err == nil {
		if a, err = parseAnswer(data); err != nil {
			a, err = pass, fmt.Errorf("%s: %w", exportCaption, err)
		}
	}
	p.done(began, err)
	return p.permitted(a)
}

// permitted leaves out what the plugin may not do.
func (p *Plugin) permitted(a Answer) Answer {
	if a.Action == Replace && !p.replace {
		p.once("replace", "it replaced a caption without the permission replace, which is no answer")
		a.Action, a.Text, a.Blocked = Pass, "", p.blocks.Load()
	}
	if a.Alert != "" && !p.mayAlert() {
		a.Alert = ""
	}
	return a
}

// parseAnswer reads an answer to a caption, strictly; none lets it pass.
func parseAnswer(data []byte) (Answer, error) {
	if data == nil {
		return Answer{Action: Pass}, nil
	}
	var w struct {
		Action Action   `json:"action"`
		Text   string   `json:"text"`
		Tags   []string `json:"tags"`
		Alert  string   `json:"alert"`
	}
	if err := strict(data, &w); err != nil {
		return Answer{}, err
	}
	a := Answer{Action: w.Action, Text: clean(w.Text), Tags: w.Tags, Alert: clean(w.Alert)}
	switch a.Action {
	case "":
		a.Action = Pass
	case Pass, Drop, Replace:
	default:
		return Answer{}, fmt.Errorf("action %.32q is neither pass, drop nor replace", a.Action)
	}
	if (a.Action == Replace) != (a.Text != "") {
		return Answer{}, fmt.Errorf("action %s with a text of %d bytes: replace has one, the others have none", a.Action, len(a.Text))
	}
	return a, errors.Join(atMost("text", a.Text, maxText), atMost("alert", a.Alert, maxAlert), checkTags(a.Tags))
}

// parseAlert reads what emit is given, strictly.
func parseAlert(data []byte, views []string) (Alert, error) {
	var w struct {
		Text string   `json:"text"`
		Tags []string `json:"tags"`
		View string   `json:"view"`
	}
	if err := strict(data, &w); err != nil {
		return Alert{}, err
	}
	a := Alert{clean(w.Text), w.Tags, w.View}
	if a.Text == "" {
		return Alert{}, errors.New("an alert without text")
	}
	if a.View != "" && !slices.Contains(views, a.View) {
		return Alert{}, fmt.Errorf("an alert of view %.64q, which the scene does not have", a.View)
	}
	return a, errors.Join(atMost("text", a.Text, maxAlert), checkTags(a.Tags))
}

// strict reads one value of JSON whose fields are known.
func strict(data []byte, v any) error {
	if len(data) > maxAnswer {
		return fmt.Errorf("%d bytes of JSON, more than %d", len(data), maxAnswer)
	}
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value of JSON")
	}
	return nil
}

func atMost(what, s string, n int) error {
	if len(s) > n {
		return fmt.Errorf("%s of %d bytes, more than %d", what, len(s), n)
	}
	return nil
}

// checkTags cleans tags in place.
func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return fmt.Errorf("%d tags, more than %d", len(tags), maxTags)
	}
	for i := range tags {
		if tags[i] = clean(tags[i]); tags[i] == "" || len(tags[i]) > maxTag {
			return fmt.Errorf("tag %d has %d bytes, not 1 to %d", i, len(tags[i]), maxTag)
		}
	}
	return nil
}
