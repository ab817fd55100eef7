package main

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/edge/memory"
)

// scene makes a scene whose cameras tell the log when they change.
func (w *wiring) scene(s config.Scene) (edge.Scene, error) {
	e := edge.Scene{
		Name: s.Name, Prompt: s.Prompt,
		Interval: s.Interval, CaptionInterval: s.CaptionInterval, MaxSkew: s.MaxSkew,
		Gate:   edge.Gate{Pixels: s.Gate.Pixels, State: s.Gate.State},
		Window: w.file.Memory.Window, Snapshots: w.snapshots(s.Name),
	}
	for _, v := range s.Views {
		src, err := w.view(s.Name+"/"+v.Name, v)
		if err != nil {
			return e, fmt.Errorf("scene %s: view %s: %w", s.Name, v.Name, err)
		}
		e.Views = append(e.Views, camera.View{Name: v.Name, Source: src})
	}
	return e, nil
}

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

func (w *wiring) view(name string, v config.View) (camera.Source, error) {
	c, err := w.kinds.Open(v.Source, v.Options(decodePicture))
	if err != nil {
		return nil, err
	}
	c.Notify(func(s camera.Status) { w.log.printf("%s: %v", name, s) })
	if len(v.Masks) == 0 && v.Region == (camera.Area{}) {
		return c, nil
	}
	return camera.Cover(c, v.Masks, v.Region)
}
