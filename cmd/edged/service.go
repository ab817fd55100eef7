package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/internal/crash"
	"github.com/visualrwkv/edged/wire"
)

// service is edged as a service manager sees it: whether it is ready, a line on how it
// is, signs of life, and a report when it dies. Without a manager nobody hears of all
// that but the log.
type service struct {
	log      *runLog
	watchdog watchdog.Watchdog
	reports  *crash.Keeper // nil: none are kept
	problems problems

	cancel context.CancelFunc
	busy   sync.WaitGroup
}

// problems are what is wrong with the daemon itself, by what it concerns.
type problems struct {
	mu    sync.Mutex
	texts map[string]string
	order []string
}

// set says what is wrong, or with an empty text that it is no more.
func (p *problems) set(concern, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.texts == nil {
		p.texts = map[string]string{}
	}
	if _, known := p.texts[concern]; !known {
		p.order = append(p.order, concern)
	}
	p.texts[concern] = text
}

// list is for the status.
func (p *problems) list() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.order {
		if t := p.texts[c]; t != "" {
			all = append(all, t)
		}
	}
	return all
}

// keepReports begins to keep crash reports in the state folder and tells of the end of
// the process before, if that was none of its own.
func (s *service) keepReports(state string) {
	head := fmt.Sprintf("edged %s, started %s", version(), time.Now().Format(time.RFC3339))
	var err error
	if s.reports, err = crash.Open(crashFolder(state), head); err != nil {
		s.trouble("crash reports", fmt.Sprintf("crash reports cannot be kept: %v", err))
		return
	}
	if r := s.reports.Last(); r != nil {
		s.trouble("last run", fmt.Sprintf("the run before this one did not end by itself: %v", r))
	}
}

// crash says why the run before ended by itself, as far as it could tell: nothing of one that was killed.
func (s *service) crash() string {
	if r := s.reports.Last(); r != nil && r.File != "" {
		return r.Cause
	}
	return ""
}

// trouble tells the log and the status.
func (s *service) trouble(concern, text string) {
	s.problems.set(concern, text)
	s.log.print(text)
}

// run tells the manager that the daemon watches, and from then on how it is.
func (s *service) run(d *edge.Daemon) {
	period, err := watchdog.Period()
	if err != nil {
		s.log.print(err.Error())
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	s.notify(watchdog.Ready, watchdog.Status(s.line(d)))
	s.busy.Go(func() { s.watchdog.Run(ctx, period, s.frozen) })
	s.busy.Go(func() {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for before := ""; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if line := s.line(d); line != before {
				s.notify(watchdog.Status(line))
				before = line
			}
		}
	})
}

func (s *service) notify(state ...string) {
	if err := watchdog.Notify(state...); err != nil {
		s.log.printf("the service manager cannot be told: %v", err)
	}
}

// frozen is told which parts do not move.
func (s *service) frozen(parts []string) {
	if len(parts) == 0 {
		s.problems.set("frozen", "")
		s.log.print("everything moves again")
		return
	}
	text := strings.Join(parts, ", ") + ": no sign of life"
	s.trouble("frozen", text)
	if err := s.reports.Note(text); err != nil {
		s.log.printf("the crash report cannot be prepared: %v", err)
	}
}

// line is what "systemctl status" shows.
func (s *service) line(d *edge.Daemon) string {
	st, err := d.Status(context.Background())
	if err != nil {
		return err.Error()
	}
	var live, views int
	var captions int64
	for _, sc := range st.Scenes {
		captions += sc.Captions
		views += len(sc.Views)
		for _, v := range sc.Views {
			if v.State == wire.ViewLive {
				live++
			}
		}
	}
	text := fmt.Sprintf("%s, %d of %s live, %s", plural(len(st.Scenes), "scene"), live, plural(views, "camera"), plural(int(captions), "caption"))
	return strings.Join(append([]string{text}, st.Problems...), "; ")
}

// stopping tells the manager that the end was asked for.
func (s *service) stopping() { s.notify(watchdog.Stopping) }

// close ends what run began, and says that the process ends by itself.
func (s *service) close() {
	if s.cancel != nil {
		s.cancel()
		s.busy.Wait()
	}
	if err := s.reports.Close(); err != nil {
		s.log.printf("crash reports: %v", err)
	}
}
