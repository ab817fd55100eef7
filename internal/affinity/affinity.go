// Package affinity binds this process to some of the machine's CPUs: on a board whose cores
// differ the fast ones, or those that nobody else needs.
package affinity

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxCPU is above the number of any CPU of a machine that edged runs on, and what the
// kernel's own lists are bounded by.
const maxCPU = 1024

// Parse reads a list as the kernel writes them: numbers and ranges with commas, such as
// "0-3,6". Every CPU may be named once.
func Parse(list string) ([]int, error) {
	var cpus []int
	seen := map[int]bool{}
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := number(from)
		b := a
		if err == nil && isRange {
			b, err = number(to)
		}
		if err != nil {
			return nil, fmt.Errorf("CPUs %.100q: %w", list, err)
		}
		if b < a {
			return nil, fmt.Errorf("CPUs %.100q: range %q goes backwards", list, part)
		}
		for ; a <= b; a++ {
			if seen[a] {
				return nil, fmt.Errorf("CPUs %.100q: %d is named twice", list, a)
			}
			seen[a] = true
			cpus = append(cpus, a)
		}
	}
	return cpus, nil
}

func number(text string) (int, error) {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a number", text)
	case n < 0 || n >= maxCPU:
		return 0, fmt.Errorf("%d is not in 0 to %d", n, maxCPU-1)
	}
	return n, nil
}

// ErrUnsupported says that this system cannot bind a process.
var ErrUnsupported = errors.New("binding to CPUs is not supported on this system")
