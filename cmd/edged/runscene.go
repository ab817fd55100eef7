package main

import (
	"cmp"
	"fmt"
	"image"
	"path/filepath"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

// scene makes a scene, none of whose cameras is asked for anything yet.
func (w *wiring) scene(s config.Scene) (edge.Scene, error) {
	e := w.settings(s)
	line := new(camera.Timeline)
	for _, v := range s.Views {
		src, err := w.view(v, line)
		if err != nil {
			return e, fmt.Errorf("scene %s: view %s: %w", s.Name, v.Name, err)
		}
		e.Views = append(e.Views, camera.View{Name: v.Name, Source: src})
	}
	return e, nil
}

// settings makes what a scene is besides its views.
func (w *wiring) settings(s config.Scene) edge.Scene {
	e := edge.Scene{
		Name:     s.Name,
		Interval: s.Interval, CaptionInterval: s.CaptionInterval, MaxSkew: s.MaxSkew, MaxWait: s.MaxWait,
		Gate:   edge.Gate{Pixels: s.Gate.Pixels, State: s.Gate.State, Idle: s.Gate.Idle},
		Window: w.file.Memory.Window, Snapshots: w.snapshots(s.Name),
	}
	for _, p := range s.Prompts {
		e.Prompts = append(e.Prompts, edge.Prompt(p))
	}
	return e
}

// logSize is what the log may take on disk: what is asked for, within its quarter of the
// budget. 0: as much as the journal takes by itself.
func logSize(f *config.File) int64 {
	if share := f.Budgets.Disk / 4; share > 0 {
		return min(cmp.Or(f.Log.Size, share), share)
	}
	return f.Log.Size
}

// logDaily is what the log may write in a day, a quarter of the budget. 4 GiB a day are 15 TB in
// ten years, a 32 GB card written over 490 times.
func logDaily(f *config.File) int64 { return cmp.Or(f.Budgets.WritesPerDay/4, 1<<30) }

// snapshots divides among the scenes what the budgets leave for memories: three
// quarters, the rest is the log's.
func (w *wiring) snapshots(scene string) memory.Config {
	n := int64(len(w.file.Scenes))
	b := w.file.Budgets
	return memory.Config{
		Dir:      filepath.Join(w.state, "memory", memory.Folder(scene)),
		Interval: w.file.Memory.Snapshot,
		Disk:     cmp.Or(b.Disk/4*3, memory.DefaultDisk) / n,
		Daily:    cmp.Or(b.WritesPerDay/4*3, memory.DefaultDaily) / n,
		RAM:      memory.DefaultRAM / n,
	}
}

// rare says of which scenes fewer snapshots will be saved than the configuration asks for,
// since the bytes that may be written in a day do not suffice.
func (w *wiring) rare(m *vlm.Model) (lines []string) {
	for _, s := range w.file.Scenes {
		c, n := w.snapshots(s.Name), m.Plan(1, len(s.Views)).Snapshot
		if w.file.Memory.Mode == config.Window {
			n *= 2
		}
		if every := c.Every(n); every > c.Interval {
			lines = append(lines, fmt.Sprintf("%s: its memory of %s is saved every %v, not every %v: budgets.writes_per_day allows no more",
				s.Name, size(n), every.Round(100*time.Millisecond), c.Interval))
		}
	}
	return lines
}

// view opens the source of a view, which plays files by the scene's line of time; one that is
// switched off has none.
func (w *wiring) view(v config.View, line *camera.Timeline) (camera.Source, error) {
	if v.Disabled {
		return nil, nil
	}
	o := v.Options(decodePicture)
	o.Timeline = line
	o.Draft = func(data []byte, dst *image.YCbCr) error { return preprocess.Draft(data, nil, dst) }
	c, err := w.kinds.Open(v.Source, o)
	if err != nil {
		return nil, err
	}
	if len(v.Masks) == 0 && v.Region == (camera.Area{}) {
		return c, nil
	}
	return camera.Cover(c, v.Masks, v.Region)
}
