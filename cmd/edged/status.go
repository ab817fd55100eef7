package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/visualrwkv/edged/wire"
)

const statusAbout = `Tells how a running edged (or edged demo) is: cameras, scenes, how old the newest
picture in each memory is, memory, temperature, plugins.`

// jsonStatus is what "edged status -json" prints.
type jsonStatus struct {
	Version    string      `json:"version"`
	Model      string      `json:"model"`
	Bundle     string      `json:"bundle,omitempty"` // that the model is from
	Backend    string      `json:"backend"`
	Time       time.Time   `json:"time"`
	UptimeS    float64     `json:"uptime_s"`
	RSSBytes   int64       `json:"rss_bytes"`
	StateBytes int64       `json:"state_bytes"`
	Asking     int64       `json:"asking"`
	Zone       string      `json:"zone,omitempty"`
	Celsius    *float64    `json:"celsius,omitempty"`
	Duty       float64     `json:"duty"`
	Problems   []string    `json:"problems,omitempty"` // what is wrong with the daemon itself
	Scenes     []jsonScene `json:"scenes"`
	Log        *jsonLog    `json:"log,omitempty"`
}

type jsonLog struct {
	Records int64  `json:"records"` // events on disk
	Bytes   int64  `json:"bytes"`
	First   uint64 `json:"first"` // sequence number of the oldest
	Next    uint64 `json:"next"`
	Pending int64  `json:"pending"`         // events that wait for the disk
	Lost    int64  `json:"lost,omitempty"`  // given up since the disk takes none
	Error   string `json:"error,omitempty"` // why it takes none

	MaxBytes int64   `json:"max_bytes"`           // that events may take on disk
	MaxAgeS  float64 `json:"max_age_s,omitempty"` // that they may have

	Written int64 `json:"written"`         // bytes in the last 24 hours, or since the start
	Daily   int64 `json:"daily,omitempty"` // that may be written in a day
}

type jsonScene struct {
	Name        string       `json:"name"`
	State       string       `json:"state"`
	Reason      string       `json:"reason,omitempty"`
	Frames      int64        `json:"frames"`
	PerSecond   float64      `json:"per_second"` // frame sets, since the daemon began
	AgeS        *float64     `json:"age_s,omitempty"`
	Skipped     int64        `json:"skipped"`
	Captions    int64        `json:"captions"`
	Gated       int64        `json:"gated"`
	Repeated    int64        `json:"repeated"`
	SkewMS      float64      `json:"skew_ms"` // between the pictures of the newest frame set
	Caption     string       `json:"caption"`
	CaptionTime *time.Time   `json:"caption_time,omitempty"`
	MS          jsonDuration `json:"ms"`
	Views       []jsonView   `json:"views"`
	Langs       []string     `json:"langs,omitempty"` // in which it is described
	Memory      *jsonKept    `json:"memory,omitempty"`
	Plugins     []jsonPlugin `json:"plugins,omitempty"`
}

// jsonPlugin is how a plugin of a scene is: a [wire.PluginStatus].
type jsonPlugin struct {
	Name        string   `json:"name"`
	State       string   `json:"state"`
	Reason      string   `json:"reason,omitempty"`
	Permissions []string `json:"permissions"`
	MemoryBytes int64    `json:"memory_bytes"`
	Calls       int64    `json:"calls"`
	Failures    int64    `json:"failures"`
	MeanMS      float64  `json:"mean_ms"`
	MaxMS       float64  `json:"max_ms"`
	LeftOut     int64    `json:"left_out"` // pictures kept from the model, captions from being published
	Blocks      bool     `json:"blocks"`   // nothing passes without its answer,
	Blocked     int64    `json:"blocked"`  // and so much did not
}

// jsonKept is what is kept of a scene's memory: a [wire.MemoryStatus].
type jsonKept struct {
	RAM       int64    `json:"ram"` // snapshots
	RAMBytes  int64    `json:"ram_bytes"`
	Snapshots int64    `json:"snapshots"` // on disk
	Bytes     int64    `json:"bytes"`
	EveryS    float64  `json:"every_s"`
	AgeS      *float64 `json:"age_s,omitempty"` // of the newest on disk
	Problem   string   `json:"problem,omitempty"`
	Written   int64    `json:"written"` // bytes in the last 24 hours, or since the start
	Daily     int64    `json:"daily"`   // that may be written in a day
}

type jsonView struct {
	Name    string   `json:"name"`
	State   string   `json:"state"`
	Reason  string   `json:"reason,omitempty"`
	Width   int64    `json:"width"`
	Height  int64    `json:"height"`
	Frames  int64    `json:"frames"`
	Skipped int64    `json:"skipped"`
	Damaged int64    `json:"damaged"`
	Unfit   int64    `json:"unfit"`
	Missing int64    `json:"missing"`
	Faults  int64    `json:"faults"`
	AgeS    *float64 `json:"age_s,omitempty"`
}

// statusMain is "edged status".
func statusMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("status", "[flags]", statusAbout)
	socket := fs.String("socket", "", socketHelp)
	asJSON := fs.Bool("json", false, "print one JSON object")
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	if fs.NArg() > 0 {
		return wrongUse(fs, stderr, fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := status(ctx, socketPath(*socket), *asJSON, stdout); err != nil {
		fmt.Fprintln(stderr, "edged status:", err)
		return exitFailed
	}
	return exitOK
}

func status(ctx context.Context, path string, asJSON bool, out io.Writer) error {
	c, err := dial(ctx, path, "edged status")
	if err != nil {
		return err
	}
	defer c.Close()
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	s := newStatus(st)
	if asJSON {
		return printJSON(out, s)
	}
	return s.print(out)
}

func newStatus(st *wire.Status) *jsonStatus {
	now := time.UnixMilli(st.Time)
	// age is that of what happened at a time, as the server knows it.
	age := func(at int64, ageMS float64) *float64 {
		if at == 0 {
			return nil
		}
		s := round(ageMS/1e3, 1e3)
		return &s
	}
	s := &jsonStatus{
		Version: st.Version, Model: st.Model, Bundle: st.Bundle, Backend: st.Backend, Time: now, UptimeS: round(st.UptimeMS/1e3, 10),
		RSSBytes: st.RSSBytes, StateBytes: st.StateBytes, Asking: st.Asking, Duty: round(st.Duty, 100),
		Problems: st.Problems,
		Scenes:   []jsonScene{},
	}
	if l := st.Log; l != nil {
		s.Log = &jsonLog{l.Records, l.Bytes, l.First, l.Next, l.Pending, l.Lost, l.Error, l.MaxBytes, round(l.MaxAgeMS/1e3, 10), l.Written, l.Daily}
	}
	if st.Zone != "" {
		c := round(st.Celsius, 10)
		s.Zone, s.Celsius = st.Zone, &c
	}
	for _, sc := range st.Scenes {
		j := jsonScene{
			Name: sc.Name, State: sc.State, Reason: sc.Reason, Frames: sc.Frames, AgeS: age(sc.FrameTime, sc.AgeMS), Skipped: sc.Skipped,
			Captions: sc.Captions, Gated: sc.Gated, Repeated: sc.Repeated, SkewMS: round(sc.SkewMS, 1e3), Caption: sc.Caption, MS: milliseconds(sc.MS),
			Views: []jsonView{}, Langs: sc.Langs,
		}
		if st.UptimeMS > 0 {
			j.PerSecond = round(float64(sc.Frames)/st.UptimeMS*1e3, 100)
		}
		if sc.CaptionTime != 0 {
			t := time.UnixMilli(sc.CaptionTime)
			j.CaptionTime = &t
		}
		for _, v := range sc.Views {
			j.Views = append(j.Views, jsonView{v.Name, v.State, v.Reason, int64(v.Width), int64(v.Height), v.Frames, v.Skipped, v.Damaged, v.Unfit, v.Missing, int64(v.Faults), age(v.FrameTime, v.AgeMS)})
		}
		if k := sc.Memory; k != nil {
			j.Memory = &jsonKept{
				RAM: k.RAM, RAMBytes: k.RAMBytes, Snapshots: k.Snapshots, Bytes: k.Bytes, EveryS: round(k.EveryMS/1e3, 10), Problem: k.Problem,
				AgeS: age(k.Saved, k.AgeMS), Written: k.Written, Daily: k.Daily,
			}
		}
		for _, p := range st.Plugins {
			if p.Scene != sc.Name {
				continue
			}
			j.Plugins = append(j.Plugins, jsonPlugin{
				p.Name, p.State, p.Reason, append([]string{}, p.Permissions...), p.MemoryBytes, p.Calls, p.Failures,
				round(p.MeanMS, 1e3), round(p.MaxMS, 1e3), p.LeftOut, p.Blocks, p.Blocked,
			})
		}
		s.Scenes = append(s.Scenes, j)
	}
	return s
}

// writes tells what was written to the disk in a day, and of how much; nothing where
// nothing is kept.
func (s *jsonStatus) writes() string {
	l := s.Log
	if l == nil || l.Daily == 0 {
		return ""
	}
	var written, daily int64
	for _, sc := range s.Scenes {
		if sc.Memory != nil {
			written += sc.Memory.Written
			daily += sc.Memory.Daily
		}
	}
	return fmt.Sprintf("written in 24 hours: %s of %s; snapshots %s of %s, log %s of %s\n",
		megabytes(written+l.Written), megabytes(daily+l.Daily), megabytes(written), megabytes(daily), megabytes(l.Written), megabytes(l.Daily))
}

// print shows the status on one screen.
func (s *jsonStatus) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "edged %s, model %s (%s), up %v\n", s.Version, s.Model, s.Backend, (time.Duration(s.UptimeS) * time.Second).String())
	if s.Bundle != "" {
		fmt.Fprintf(&b, "bundle %s\n", s.Bundle)
	}
	fmt.Fprintf(&b, "memory %s, of a scene %s; %s\n", megabytes(s.RSSBytes), megabytes(s.StateBytes), plural(int(s.Asking), "question")+" in flight")
	if s.Celsius != nil {
		fmt.Fprintf(&b, "%s %.0f °C, working %.0f %% of the time\n", s.Zone, *s.Celsius, 100*s.Duty)
	}
	if l := s.Log; l != nil {
		fmt.Fprintf(&b, "log: %d events in %s of %s", l.Records, megabytes(l.Bytes), megabytes(l.MaxBytes))
		if l.MaxAgeS > 0 {
			fmt.Fprintf(&b, ", for %.4g days", l.MaxAgeS/(24*60*60))
		}
		b.WriteString("\n")
		if l.Error != "" {
			fmt.Fprintf(&b, "problem: events cannot be saved, %d wait in memory, %d are lost: %s\n", l.Pending, l.Lost, l.Error)
		}
	}
	b.WriteString(s.writes())
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "problem: %s\n", p)
	}
	for _, sc := range s.Scenes {
		fmt.Fprintf(&b, "\n%s: %s", sc.Name, sc.State)
		if sc.Reason != "" {
			fmt.Fprintf(&b, " (%s)", sc.Reason)
		}
		seen := "no frame set yet"
		if sc.AgeS != nil {
			seen = fmt.Sprintf("%d frame sets, %.2f a second; the newest is %s old", sc.Frames, sc.PerSecond, seconds(sc.AgeS))
		}
		fmt.Fprintf(&b, ", %s; %d frames skipped\n", seen, sc.Skipped)
		fmt.Fprintf(&b, "  %d captions, %d frame sets unchanged, %d repeats left out; vision %.0f ms, encoder %.0f, text %.0f\n",
			sc.Captions, sc.Gated, sc.Repeated, sc.MS.Vision, sc.MS.Encode, sc.MS.Decode)
		if sc.CaptionTime != nil {
			fmt.Fprintf(&b, "  %s  %s\n", sc.CaptionTime.Format(time.TimeOnly), sc.Caption)
		}
		if len(sc.Langs) > 0 {
			fmt.Fprintf(&b, "  in %s\n", strings.Join(sc.Langs, ", "))
		}
		if k := sc.Memory; k != nil {
			fmt.Fprintf(&b, "  %s", plural(int(k.RAM), "snapshot")+" in memory")
			if k.Snapshots > 0 || k.Problem != "" {
				fmt.Fprintf(&b, ", %d on disk (%s), the newest %s old, one every %s", k.Snapshots, megabytes(k.Bytes), seconds(k.AgeS), seconds(&k.EveryS))
			}
			b.WriteString("\n")
			if k.Problem != "" {
				fmt.Fprintf(&b, "  problem: %s\n", k.Problem)
			}
		}
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, v := range sc.Views {
			size := ""
			if v.Width > 0 {
				size = fmt.Sprintf("%dx%d", v.Width, v.Height)
			}
			age := ""
			if v.AgeS != nil {
				age = seconds(v.AgeS) + " old"
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t%d frames\t%s\t%s\n", v.Name, v.State, size, v.Frames, age, v.Reason)
		}
		t.Flush()
		for _, p := range sc.Plugins {
			fmt.Fprintf(&b, "  plugin %s: %s", p.Name, p.State)
			if p.Reason != "" {
				fmt.Fprintf(&b, " (%s)", p.Reason)
			}
			fmt.Fprintf(&b, ", may %s; %d calls of %.1f ms, %.1f at most, %d failed; left out %d; ",
				cmp.Or(strings.Join(p.Permissions, ", "), "nothing"), p.Calls, p.MeanMS, p.MaxMS, p.Failures, p.LeftOut)
			if p.Blocks {
				fmt.Fprintf(&b, "blocked %d, as nothing passes without it; ", p.Blocked)
			}
			fmt.Fprintf(&b, "memory %s\n", megabytes(p.MemoryBytes))
		}
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(printable(line), " ")); err != nil {
			return err
		}
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// seconds tells an age.
func seconds(s *float64) string {
	switch {
	case s == nil:
		return "-"
	case *s < 100:
		return fmt.Sprintf("%.1f s", *s)
	}
	return (time.Duration(*s) * time.Second).String()
}
