package main

import (
	"fmt"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
)

// scene makes a scene whose cameras tell the log when they change.
func (w *wiring) scene(s config.Scene) (edge.Scene, error) {
	e := edge.Scene{
		Name: s.Name, Prompt: s.Prompt,
		Interval: s.Interval, CaptionInterval: s.CaptionInterval, MaxSkew: s.MaxSkew,
		Gate: edge.Gate{Pixels: s.Gate.Pixels, State: s.Gate.State},
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
