package affinity

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Set binds all threads of this process, and those it will start, to the CPUs, and gives
// the Go scheduler as many processors. CPUs that the machine lacks or that a control group
// withholds are an error, and nothing is changed.
func Set(cpus []int) error {
	var all, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("affinity: %w", err)
	}
	for _, c := range cpus {
		if !all.IsSet(c) {
			return fmt.Errorf("CPU %d is not one that this process may use", c)
		}
		set.Set(c)
	}
	if set.Count() == 0 {
		return fmt.Errorf("no CPU to use")
	}
	// A thread that starts meanwhile has the mask of the one that starts it, so that a
	// round in which nothing was left to do ends it.
	for done := map[int]bool{}; ; {
		before := len(done)
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("affinity: %w", err)
		}
		for _, t := range tasks {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
				return fmt.Errorf("affinity of thread %d: %w", id, err)
			}
			done[id] = true
		}
		if len(done) == before {
			break
		}
	}
	runtime.SetDefaultGOMAXPROCS()
	return nil
}
