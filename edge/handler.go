package edge

import (
	"context"
	"strings"
	"time"

	"github.com/visualrwkv/edged/internal/procmem"
	"github.com/visualrwkv/edged/wire"
)

var _ wire.Handler = (*Daemon)(nil)

// Welcome implements [wire.Handler].
func (d *Daemon) Welcome(context.Context, *wire.Hello) (*wire.Welcome, error) {
	return &wire.Welcome{Server: "edged", Version: d.cfg.Version, Model: d.cfg.Model.Name(), Scenes: []string{d.cfg.Scene}}, nil
}

// Status implements [wire.Handler].
func (d *Daemon) Status(context.Context) (*wire.Status, error) {
	return &wire.Status{
		Version: d.cfg.Version, Model: d.cfg.Model.Name(), Backend: d.cfg.Model.Backend(),
		Time: time.Now().UnixMilli(), UptimeMS: ms(time.Since(d.started)),
		RSSBytes: procmem.Resident(), StateBytes: d.Stats().Memory,
		Asking: d.answers.waiting.Load(), Scenes: []wire.SceneStatus{d.scene.report()},
	}, nil
}

// Scenes implements [wire.Handler].
func (d *Daemon) Scenes(context.Context) (*wire.Scenes, error) {
	return &wire.Scenes{Scenes: []wire.SceneInfo{{Name: d.cfg.Scene, Views: d.scene.names}}}, nil
}

// Watch implements [wire.Handler].
func (d *Daemon) Watch(ctx context.Context, w *wire.Watch, emit func(*wire.Event) error) error {
	if err := d.known(w.Scene); err != nil {
		return err
	}
	sub := d.hub.watch(w.Scene, emit)
	defer d.hub.leave(sub)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-sub.done:
		return wire.Errorf(wire.CodeClosing, "the daemon is stopping")
	}
}

// Ask implements [wire.Handler].
func (d *Daemon) Ask(ctx context.Context, a *wire.Ask, piece func(string) error) (*wire.Answer, error) {
	if err := d.known(a.Scene); err != nil {
		return nil, err
	}
	question := strings.TrimSpace(a.Question)
	if question == "" {
		return nil, wire.Errorf(wire.CodeRequest, "the question is empty")
	}
	r, err := d.answers.ask(ctx, question, piece)
	if err != nil {
		return nil, err
	}
	r.Scene = d.cfg.Scene
	return r, nil
}

func (d *Daemon) known(scene string) error {
	if scene != "" && scene != d.cfg.Scene {
		return wire.Errorf(wire.CodeScene, "no scene %q; there is %q", scene, d.cfg.Scene)
	}
	return nil
}
