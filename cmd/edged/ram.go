package main

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"

	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/internal/procmem"
	"github.com/visualrwkv/edged/vlm"
)

// What a daemon needs beside its model, in bytes, where nothing else says.
const (
	ramProgram  = 48 << 20 // the program, goroutines, clients and their queues
	ramPixel    = 24       // of a view's pictures: as they came, as they are decoded, the next and the one in work
	ramAnswers  = 4        // texts of questions that are written together
	ramSnapshot = 3        // of a scene: the newest, the one that replaces it, one that nobody has collected yet
)

// ramPlan is how much memory a configuration needs at most, in bytes.
type ramPlan struct {
	model, scenes, questions, cameras, plugins, rest int64
	file                                             int64 // of model, what is mapped
}

// planRAM adds up what the daemon will have come to when every scene writes a caption and
// all questions that are answered together are being answered.
func planRAM(m *vlm.Model, f *config.File, plugins pluginSet) ramPlan {
	p := ramPlan{rest: ramProgram + memory.DefaultRAM, plugins: plugins.bytes(f)}
	for _, s := range f.Scenes {
		one := m.Plan(1, len(s.Views))
		p.file, p.model = one.File, one.File+one.Weights
		p.scenes += one.Total - p.model + ramSnapshot*one.Snapshot
		p.scenes += int64(max(0, len(s.Prompts)-1)) * one.Decoder // captions in more languages
		if f.Memory.Mode == config.Window {
			p.scenes += one.Stream + ramSnapshot*one.Snapshot // a second memory
		}
		p.questions = max(p.questions, ramAnswers*(one.Stream+2*one.Decoder+one.Snapshot))
		for _, v := range s.Views {
			w, h := pictureSize(v)
			p.cameras += int64(w) * int64(h) * ramPixel
		}
	}
	return p
}

// pictureSize is the size of a view's pictures, in pixels, as it is wished for.
func pictureSize(v config.View) (w, h int) {
	if v.Width == 0 {
		return 640, 480
	}
	return v.Width, v.Height
}

func (p ramPlan) total() int64 {
	return p.model + p.scenes + p.questions + p.cameras + p.plugins + p.rest
}

func (p ramPlan) String() string {
	plugins := ""
	if p.plugins > 0 {
		plugins = fmt.Sprintf("%s for plugins, ", size(p.plugins))
	}
	return fmt.Sprintf("%s: %s for the model, %s for scenes, %s for questions, %s for pictures, %s%s for the rest",
		size(p.total()), size(p.model), size(p.scenes), size(p.questions), size(p.cameras), plugins, size(p.rest))
}

// checkRAM refuses a plan that is more than there can be: what the configuration allows,
// the machine has, or a control group gets. limit is 0 where nobody says.
func checkRAM(p ramPlan, configured int64) (limit int64, err error) {
	limit, by := procmem.Limit()
	if configured > 0 && (limit == 0 || configured < limit) {
		limit, by = configured, "budgets.ram of the configuration"
	}
	if limit > 0 && p.total() > limit {
		return limit, fmt.Errorf("this configuration needs up to %v. That is more than %s, %s. "+
			"Take a smaller model, fewer scenes or smaller pictures, or allow more", p, size(limit), by)
	}
	return limit, nil
}

// keepWithin makes the collector work harder before the process takes more than the
// limit; 0 is none. What is mapped, the model, is no part of what it counts. undo is for
// tests.
func keepWithin(limit int64, p ramPlan) (undo func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	most := int64(math.MaxInt64)
	if limit > 0 {
		most = max(limit-p.file, p.total()-p.file)
	}
	debug.SetMemoryLimit(most)
	return func() { debug.SetMemoryLimit(math.MaxInt64) }
}

// scarce says that other programs hold what the plan counts on; empty when none do.
func (p ramPlan) scarce() string {
	a := procmem.Available()
	if a == 0 || p.total() <= a {
		return ""
	}
	return fmt.Sprintf("up to %s of memory may be needed, and other programs leave %s", size(p.total()), size(a))
}
