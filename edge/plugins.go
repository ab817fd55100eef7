package edge

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/fw/plugin"
	"github.com/visualrwkv/edged/wire"
)

// Plugin is a module that a scene runs, and how. What is the scene's of the options is set
// by the daemon: Scene, Views, Log, Emit and Clock.
type Plugin struct {
	Module *plugin.Module // stays the caller's
	plugin.Options
	Missing string // why there is no Module: the plugin is there for the status alone

	// Rate is how many pictures of each view it is asked about in a second, if it is and the scene is not
	// in lock step; 0: DefaultRate. Of several plugins the highest counts for all.
	Rate float64
}

// DefaultRate of a [Plugin].
const DefaultRate = 5

// same reports whether a plugin that runs as p is also what o asks for; how often it is asked is no
// matter of its own.
func (p *Plugin) same(o *Plugin) bool {
	return p.Module == o.Module && p.Name == o.Name && slices.Equal(p.Permissions, o.Permissions) &&
		p.Width == o.Width && p.Height == o.Height && string(p.Config) == string(o.Config) && p.Memory == o.Memory && p.CallLimit == o.CallLimit && p.OnFailure == o.OnFailure
}

// plugins are those of a scene, asked in their order: about pictures by those who capture, or by the
// scene's goroutine in lock step, and about captions by that. Another may exchange them meanwhile.
type plugins struct {
	changing sync.Mutex // held while they are exchanged
	wanted   []Plugin
	ctx      context.Context // of the scene while it runs, else nil

	asking  sync.Mutex // held while they are asked, and
	picture pixels     // that they are shown
	frame   plugin.Frame
	masks   []camera.Area

	all    atomic.Pointer[[]*hosted]
	period atomic.Int64 // nanoseconds from one picture of a view to the next; 0: about pictures nobody is asked

	// generation counts what is new among those that are asked about pictures. What was handed over under one
	// before is for nobody: it may show what one of now hides.
	generation atomic.Uint64
}

func (p *plugins) now() []*hosted {
	if all := p.all.Load(); all != nil {
		return *all
	}
	return nil
}

// hosted is one plugin of a scene.
type hosted struct {
	Plugin
	p      *plugin.Plugin // nil: it did not start,
	reason string         // and why not

	leftOut atomic.Int64 // pictures and captions,
	blocked atomic.Int64 // and those that it did not answer about

	mu    sync.Mutex
	about wire.Event // what an alert is about now
}

// concerns says what alerts are about from now on.
func (h *hosted) concerns(e wire.Event) {
	h.mu.Lock()
	h.about = e
	h.mu.Unlock()
}

// SetPlugins gives a scene other plugins, between two pictures. Those that are as before go
// on; what others remember is lost. Modules that were used before are in use no longer when it returns.
func (d *Daemon) SetPlugins(scene string, wanted []Plugin) {
	for _, s := range d.all() {
		if s.cfg.Name == scene {
			s.setPlugins(wanted)
		}
	}
}

func (s *scene) setPlugins(wanted []Plugin) {
	p := &s.plugs
	p.changing.Lock()
	defer p.changing.Unlock()
	p.wanted = wanted
	if p.ctx != nil {
		s.hostPlugins(wanted)
	}
}

// beginPlugins starts those that are wanted, endPlugins closes all.
func (s *scene) beginPlugins(ctx context.Context) {
	p := &s.plugs
	p.changing.Lock()
	defer p.changing.Unlock()
	p.ctx = ctx
	s.hostPlugins(p.wanted)
	for now, i := time.Now(), 0; i < len(s.views); i++ {
		if a := s.views[i].asks; a != nil {
			a.epoch = now
		}
	}
}

func (s *scene) endPlugins() {
	p := &s.plugs
	p.changing.Lock()
	defer p.changing.Unlock()
	s.hostPlugins(nil)
	p.ctx = nil
}

// hostPlugins starts those of wanted that do not run, and closes the others. It is called with
// changing held.
func (s *scene) hostPlugins(wanted []Plugin) {
	p := &s.plugs
	before := slices.Clone(p.now())
	var next []*hosted
	rate, anew := 0., false
	for _, w := range wanted {
		at := slices.IndexFunc(before, func(h *hosted) bool { return h.p != nil && h.same(&w) })
		var h *hosted
		if at < 0 {
			h = s.host(w)
		} else {
			h = before[at]
			before = slices.Delete(before, at, at+1)
		}
		next = append(next, h)
		if h.wantsFrames() {
			anew = anew || at < 0
			rate = max(rate, cmp.Or(max(w.Rate, 0), DefaultRate))
		}
	}
	p.asking.Lock()
	p.all.Store(&next)
	p.period.Store(0)
	if rate > 0 {
		p.period.Store(max(1, int64(float64(time.Second)/rate)))
	}
	if anew { // last: who reads it before asks those who are there by then
		p.generation.Add(1)
	}
	p.asking.Unlock()
	for _, h := range before {
		if h.p == nil {
			continue
		}
		if err := h.p.Close(); err != nil {
			h.log(s, slog.LevelError, err.Error())
		}
	}
}

// host starts a plugin. One that does not start is there for the status.
func (s *scene) host(w Plugin) *hosted {
	h := &hosted{Plugin: w}
	o := w.Options
	o.Scene, o.Views, o.Clock = s.cfg.Name, s.names, s.uptime
	o.Log = func(level slog.Level, line string) { h.log(s, level, line) }
	o.Emit = func(a plugin.Alert) { s.event(h.alert(a.Text, a.Tags, a.View)) }
	var err error
	if w.Module == nil {
		h.reason = w.Missing
		h.log(s, slog.LevelError, "it is not used: "+h.reason)
		return h
	}
	if h.p, err = w.Module.Start(s.plugs.ctx, o); err != nil {
		h.reason = err.Error()
		h.log(s, slog.LevelError, "it is not used: "+h.reason)
		return h
	}
	if _, pixels := h.p.WantsFrames(); pixels && w.Width == 0 {
		if width, height := h.p.PictureSize(); width > 0 {
			h.log(s, slog.LevelInfo, fmt.Sprintf("it is interpreted, and given pictures of no more than %dx%d; its size in the configuration says otherwise", width, height))
		}
	}
	return h
}

// wantsFrames reports whether the plugin has a say about pictures.
func (h *hosted) wantsFrames() bool {
	if h.p == nil {
		return h.withholds(plugin.PermitFrames)
	}
	wants, _ := h.p.WantsFrames()
	return wants
}

// withholds reports whether a plugin that did not start keeps back what it would be asked about with a
// permission. What the bundle is missing may do is not known.
func (h *hosted) withholds(permission string) bool {
	return h.p == nil && h.Blocks() && (len(h.Permissions) == 0 || slices.Contains(h.Permissions, permission))
}

// blocks counts a picture or caption that nobody gets, as the plugin did not answer, and says why not.
func (h *hosted) blocks() string {
	h.blocked.Add(1)
	is := h.status()
	return fmt.Sprintf("plugin %s has not answered, it is %s: %s", h.Name, is.State, cmp.Or(is.Reason, "a call was ended"))
}

// status is how the plugin is.
func (h *hosted) status() plugin.Status {
	if h.p == nil {
		return plugin.Status{State: plugin.Disabled, Reason: h.reason, Blocks: h.Blocks()}
	}
	return h.p.Status()
}

// log tells a line of a plugin or about it. What it says for its author is not for the log of a device.
func (h *hosted) log(s *scene, level slog.Level, line string) {
	if s.log != nil && level >= slog.LevelInfo {
		s.log(s.cfg.Name + ": plugin " + h.Name + ": " + line)
	}
}

// shows asks the plugins about the picture of a view and hides what they say; what one of
// them hides the next does not see either. false: the picture is to be left out, as it is where one that blocks
// does not answer. Where one of them is asked, pictures are decoded: drafts would show what is hidden. While the
// scene is paused nobody is asked, and the picture is for nobody, in lock step the whole set.
func (s *scene) shows(ctx context.Context, view int, f *camera.Frame, set uint64) (bool, error) {
	s.plugs.asking.Lock()
	defer s.plugs.asking.Unlock()
	shown, why, err := s.ask(ctx, view, f, set)
	if err == nil && ctx.Err() == nil { // a call that was stopped is nobody's fault
		s.views[view].blocked(why)
	}
	return shown, err
}

// ask is shows with asking held. why says who did not answer.
func (s *scene) ask(ctx context.Context, view int, f *camera.Frame, set uint64) (shown bool, why string, err error) {
	p := &s.plugs
	var region camera.Area
	fresh := false // p.picture is of f
	for _, h := range p.now() {
		if !h.wantsFrames() {
			continue
		}
		if s.paused.Load() {
			if s.sets.lockStep {
				s.unasked = true
			}
			return s.sets.lockStep, "", nil
		}
		if h.p == nil {
			return false, h.blocks(), nil
		}
		if err := f.Decode(); err != nil {
			return false, "", err
		}
		if !fresh {
			f.Cover(nil, camera.Area{}) // of the draft
			p.picture.set(f.Image)
			fresh = true
		}
		h.concerns(wire.Event{Time: f.Time.UnixMilli(), Frame: int64(set), View: s.names[view]})
		q := &p.frame
		*q = plugin.Frame{View: view, CameraWidth: p.picture.w, CameraHeight: p.picture.h, Time: f.Time, Clock: s.clock(f.Time), Number: f.Seq}
		q.Pixels, q.Width, q.Height = p.picture.within(h.p.PictureSize())
		_, pixels := h.p.WantsFrames()
		q.Full = pixels && q.Width == p.picture.w && q.Height == p.picture.h
		v := h.p.Frame(ctx, q)
		if v.Blocked {
			return false, h.blocks(), nil
		}
		if v.Skip {
			h.leftOut.Add(1)
			return false, "", nil
		}
		if len(v.Masks) > 0 {
			p.masks = p.masks[:0]
			for _, m := range v.Masks {
				p.masks = append(p.masks, area(m))
			}
			f.Cover(p.masks, camera.Area{})
			fresh = false
		}
		if v.HasRegion {
			region = area(v.Region)
		}
	}
	if region != (camera.Area{}) {
		f.Cover(nil, region)
	}
	return true, "", nil
}

func area(r plugin.Rect) camera.Area {
	x, y := float64(r.X), float64(r.Y)
	return camera.Area{x, y, min(x+float64(r.W), 1), min(y+float64(r.H), 1)}
}

// maxTags bounds those of a caption, of all plugins together.
const maxTags = 16

// reviews asks the plugins about the texts of a step, each of which the next gets as the one
// before left it. It returns the alerts about them.
func (s *scene) reviews(ctx context.Context, step *Step) (alerts []*wire.Event) {
	p := &s.plugs
	p.asking.Lock()
	defer p.asking.Unlock()
	set := step.Set
	for i := range step.texts {
		t := &step.texts[i]
		for _, h := range p.now() {
			if h.withholds(plugin.PermitCaptions) {
				h.blocks()
				t.dropped = true
				break
			}
			if h.p == nil || !h.p.WantsCaptions() {
				continue
			}
			h.concerns(wire.Event{Time: set.Time.UnixMilli(), Frame: int64(set.Number)})
			a := h.p.Caption(ctx, &plugin.Caption{
				Text: t.text, Lang: s.cfg.Prompts[i].Language, Time: set.Time, Clock: s.clock(set.Time), Frame: set.Number, Views: step.Views,
			})
			if a.Blocked {
				h.blocks()
				t.dropped = true
				break
			}
			if a.Alert != "" {
				alerts = append(alerts, h.alert(a.Alert, a.Tags, ""))
			}
			if a.Action == plugin.Drop {
				h.leftOut.Add(1)
				t.dropped = true
				break
			}
			if a.Action == plugin.Replace {
				t.text = a.Text
			}
			for _, tag := range a.Tags {
				if len(t.tags) < maxTags && !slices.Contains(t.tags, tag) {
					t.tags = append(t.tags, tag)
				}
			}
		}
	}
	if step.Text, step.Tags = step.texts[0].text, step.texts[0].tags; step.texts[0].dropped {
		step.Text = ""
	}
	return alerts
}

// alert makes an event of what a plugin wants to be known.
func (h *hosted) alert(text string, tags []string, view string) *wire.Event {
	h.mu.Lock()
	e := h.about
	h.mu.Unlock()
	e.Event, e.Plugin, e.Text, e.Tags = wire.EventAlert, h.Name, text, tags
	e.View = cmp.Or(view, e.View)
	return &e
}

// clock is a moment in the time since edged started, 0 for one before that, as files have.
func (s *scene) clock(at time.Time) time.Duration { return max(0, s.uptime()-time.Since(at)) }

// pluginStatus is how the plugins are.
func (s *scene) pluginStatus() (all []wire.PluginStatus) {
	for _, h := range s.plugs.now() {
		is := h.status()
		all = append(all, wire.PluginStatus{
			Scene: s.cfg.Name, Name: h.Name, State: string(is.State), Reason: is.Reason, Permissions: h.Permissions, MemoryBytes: is.MemoryBytes,
			Calls: int64(is.Calls), Failures: int64(is.Failures), MeanMS: is.MeanMS, MaxMS: is.MaxMS,
			LeftOut: h.leftOut.Load(), Blocks: is.Blocks, Blocked: h.blocked.Load(),
		})
	}
	return all
}
