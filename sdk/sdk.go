// Package sdk is for plugins of edged that are written in Go: WASM modules that see the
// pictures of a scene before the model does, and the captions before anybody reads them
// (docs/plugins.md). It needs nothing but the Go toolchain and the standard library:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o name.wasm
//
// A plugin exports what it handles, and only that; edged_on_frame or edged_on_caption must be
// there:
//
//	package main
//
//	import "github.com/visualrwkv/edged/sdk"
//
//	var config struct{ Word string }
//
//	//go:wasmexport edged_on_start
//	func onStart(ptr, size uint32) uint32 {
//		return sdk.OnStart(ptr, size, func(s *sdk.Start) error { return s.Decode(&config) })
//	}
//
//	//go:wasmexport edged_on_frame
//	func onFrame(ptr, size uint32) uint64 { return sdk.OnFrame(ptr, size, gate) }
//
//	//go:wasmexport edged_on_caption
//	func onCaption(ptr, size uint32) uint64 { return sdk.OnCaption(ptr, size, judge) }
//
//	func gate(f *sdk.Frame) sdk.Verdict     { ... }
//	func judge(c *sdk.Caption) sdk.Answer   { ... }
//
//	func main() {} // never called
//
// There is one instance for each scene, and its calls come one after the other. What it keeps
// in variables is there in the next call, until a call fails: then edged makes a new instance.
// Files, network, arguments and environment are empty; goroutines run only during a call.
//
// On other platforms the package compiles too, so that handlers can be tested with go test:
// there Log and Emit write to the standard error.
package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// ABI is the version of the interface between edged and plugins that this package speaks.
const ABI = 1

// Level says how much a log line matters.
type Level int32

// The levels of log lines.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Limits of the texts of a plugin, in bytes, and of the tags of an event. What is longer is
// cut where a character ends.
const (
	MaxText  = 4 << 10 // of a caption
	MaxAlert = 1 << 10
	MaxTags  = 8
	MaxTag   = 64
)

// Start is what an instance is told before all else.
type Start struct {
	ABI         int             `json:"abi"`
	Scene       string          `json:"scene"`
	Views       []string        `json:"views"`       // names, in the order of their numbers
	Permissions []string        `json:"permissions"` // such as on_frame and emit
	Config      json.RawMessage `json:"config"`      // as Decode reads it
}

// Decode reads the plugin's configuration into v. What is not configured keeps the value that
// it has in v, so defaults are set before. A key that v has no field for is an error: somebody
// meant something by it.
func (s *Start) Decode(v any) error {
	if len(s.Config) == 0 || string(s.Config) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(s.Config))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("config: %s: %s where %s belongs", e.Field, e.Value, e.Type)
	}
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("config: something follows the value")
	}
	return nil
}

// May reports whether the plugin has a permission.
func (s *Start) May(permission string) bool { return slices.Contains(s.Permissions, permission) }

// Alert is an event that a plugin makes by itself.
type Alert struct {
	Text string   `json:"text"`
	Tags []string `json:"tags,omitempty"`
	View string   `json:"view,omitempty"` // the name of the view it is about
}

// Emit makes an event that watchers and the log have, such as "something crossed the line". It
// has no effect without the permission emit, and when there were ten in the last minute.
func Emit(a Alert) {
	a.Text, a.Tags = cut(a.Text, MaxAlert), cutTags(a.Tags)
	data, _ := json.Marshal(a) // strings can always be marshalled
	hostEmit(data)
}

// Log writes a line to edged's log, 20 a minute and 512 bytes of each at most.
func Log(level Level, line string) { hostLog(level, line) }

// Clock returns the time since edged started. It never jumps.
func Clock() time.Duration { return hostClock() }

// cut returns s as UTF-8 of at most n bytes, shortened where a character ends.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func cutTags(tags []string) []string {
	var ours []string // the plugin's own stay as they are
	for _, t := range tags {
		if t != "" && len(ours) < MaxTags {
			ours = append(ours, cut(t, MaxTag))
		}
	}
	return ours
}
