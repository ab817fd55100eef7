package sdk

import (
	"encoding/json"
	"fmt"
	"time"
)

// Caption is a text about a scene, before anybody reads it.
type Caption struct {
	Scene string
	Text  string
	Lang  string        // of the configuration's prompts; "" when there is one language
	Time  time.Time     // of the frame set it describes, as good as the device knows it
	Clock time.Duration // of that, by Clock's clock
	Frame uint64        // number of the frame set
	Views []string      // that the frame set had pictures of
}

// Action is what becomes of a caption.
type Action string

// The actions.
const (
	Pass    Action = ""        // it stays as it is
	Drop    Action = "drop"    // nobody reads it
	Replace Action = "replace" // Answer.Text is read instead; needs the permission replace
)

// Answer is what a plugin says of a caption. The zero Answer lets it pass.
type Answer struct {
	Action Action   `json:"action,omitempty"`
	Text   string   `json:"text,omitempty"` // with Replace, and then not empty
	Tags   []string `json:"tags,omitempty"`
	Alert  string   `json:"alert,omitempty"` // an event beside the caption; needs the permission emit
}

func (c *Caption) decode(data []byte) error {
	var in struct {
		Scene, Text, Lang string
		Time, Clock       int64
		Frame             uint64
		Views             []string
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("a caption: %w", err)
	}
	*c = Caption{
		Scene: in.Scene, Text: in.Text, Lang: in.Lang, Frame: in.Frame, Views: in.Views,
		Time: time.UnixMilli(in.Time), Clock: time.Duration(in.Clock) * time.Millisecond,
	}
	return nil
}

// append appends the encoded answer: nothing for one that lets the caption pass.
func (a Answer) append(b []byte) []byte {
	if a.Action == Pass && len(a.Tags) == 0 && a.Alert == "" {
		return b
	}
	if a.Action != Replace {
		a.Text = ""
	}
	a.Text, a.Tags, a.Alert = cut(a.Text, MaxText), cutTags(a.Tags), cut(a.Alert, MaxAlert)
	data, _ := json.Marshal(a) // strings can always be marshalled
	return append(b, data...)
}
