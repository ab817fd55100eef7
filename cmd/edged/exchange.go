package main

import (
	"fmt"

	"github.com/visualrwkv/edged/edge/config"
)

// beside says whether there is memory for a model beside the one that runs, with all that scenes hold there
// twice for a moment.
func (r *reloader) beside(d *delivery) error {
	plan := planRAM(r.running.model, r.now, r.running.set)
	plan.model += d.bytes
	plan.scenes *= 2
	_, err := checkRAM(plan, r.now.Budgets.RAM)
	return err
}

// exchange has what is to run now take the place of what runs. It is called where settling is true, which it ends.
func (r *reloader) exchange(configured string) {
	defer r.settled()
	back, before := r.running, r.now
	d, err := r.depot.open(r.ctx, configured, back)
	switch {
	case r.ctx.Err() != nil && err != nil:
	case err != nil:
		r.log.printf("%v; %s goes on", err, back.what)
		fallthrough
	case d == back:
		r.mu.Lock()
		r.read()
		r.mu.Unlock()
	default:
		r.settle(d, r.change(d, d.file, true), back, before)
	}
}

// settled ends a time in which the configuration was not read.
func (r *reloader) settled() {
	r.mu.Lock()
	again := r.again && r.ctx.Err() == nil
	r.settling, r.again = false, false
	r.mu.Unlock()
	if again {
		r.reload()
	}
}

// change has the daemon watch with d as f says.
func (r *reloader) change(d *delivery, f *config.File, trial bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f = r.within(f)
	c, err := r.changed(f)
	if err != nil {
		return err
	}
	return r.apply(f, c, d, trial)
}

// settle waits until d has proved itself before the cameras, unless err says that it did not get there. Else what ran before runs
// again, with the configuration of then; back is nil where that has to be opened. In the end only one of the two is open.
func (r *reloader) settle(d *delivery, err error, back *delivery, before *config.File) {
	if err == nil {
		err = r.daemon.Proof(r.ctx, r.depot.limit(d.bytes))
	}
	switch {
	case r.ctx.Err() != nil:
		r.depot.stopped(d)
	case err != nil:
		back, err = r.goBack(d, err, back, before)
		if err != nil && r.ctx.Err() == nil {
			r.failed <- fmt.Errorf("nothing can take the place of %s: %w", d.what, err)
			<-r.ctx.Done() // the daemon ends, and with it what still uses the models
		}
	case d.trial:
		d.trial = !r.depot.commit(d)
		r.tell(d, d.trial)
	default:
		r.log.printf("%s runs", d.what)
	}
	for _, o := range []*delivery{d, back} {
		if o != nil && o.model != nil && o != r.running {
			r.close(o)
		}
	}
	if err == nil && r.ctx.Err() == nil {
		r.plugins.keep(r.ctx, r.running.set)
	}
	if r.running == back && back != nil && back.trial && r.ctx.Err() == nil {
		r.settle(back, nil, nil, nil)
	}
}

// close closes the model of a delivery once nobody uses it. One that hangs keeps its memory until the process ends.
func (r *reloader) close(d *delivery) {
	if r.daemon != nil {
		if err := r.daemon.Release(r.ctx, d.forScenes()); err != nil {
			r.log.printf("%s: %v; what it has of the memory stays its own until edged is started again", d.what, err)
			return
		}
	}
	d.model.Close()
}

// goBack gives d up and has back, which it returns, run again.
func (r *reloader) goBack(d *delivery, why error, back *delivery, before *config.File) (*delivery, error) {
	kept := true
	if d.trial {
		kept = r.depot.giveUp(d, why)
	} else {
		r.log.printf("%s is not used: %v", d.what, why)
	}
	if back == nil {
		var err error
		if kept {
			back, err = r.depot.open(r.ctx, "", nil)
		} else {
			back, err = r.depot.openFrom(r.ctx, r.depot.active(), nil)
		}
		if err == nil {
			before, back.set, err = r.load(back)
		}
		if err != nil {
			return back, err
		}
	}
	return back, r.change(back, before, back.trial)
}
