package procmem

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Processors is what this process, all of its threads, got of the machine's processors.
type Processors struct {
	Ran    time.Duration // computed
	Waited time.Duration // could have computed, but something else did
}

// ProcessorsSoFar reads the kernel's accounts of the threads that there are (schedstat of each
// in /proc/self/task); zero where the system keeps none. Threads of Go programs rarely end, and
// with one that does its times go.
//
// Against processor time by the clock this tells waiting for a processor from having nothing
// to do. It does not see what slows a processor down: a hypervisor, another thread of its core,
// heat.
func ProcessorsSoFar() (p Processors) {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		return p
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // ended
		}
		if f := bytes.Fields(b); len(f) == 3 {
			p.Ran += nanoseconds(f[0])
			p.Waited += nanoseconds(f[1])
		}
	}
	return p
}

func nanoseconds(b []byte) time.Duration {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n)
}

// ShareSince is what part of the processor time that the process could use since before it got:
// 1 on an idle machine, 0 where the system does not say.
func (p Processors) ShareSince(before Processors) float64 {
	ran, waited := p.Ran-before.Ran, max(p.Waited-before.Waited, 0)
	if ran <= 0 {
		return 0
	}
	return float64(ran) / float64(ran+waited)
}
