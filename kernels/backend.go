package kernels

import (
	"fmt"
	"os"
	"slices"
)

// implementation is one way to compute everything: its name, and the level that the
// forwarding functions of this architecture switch on.
type implementation struct {
	name  string
	level int
}

// implementations lists what this build and this CPU have, best first; the last is
// always portable.
var implementations = func() []implementation {
	all := available()
	slices.Reverse(all)
	return all
}()

// level is that of the implementation in use.
var level = choose(os.Getenv("EDGED_KERNELS")).level

// choose returns the implementation of that name, or the best one.
func choose(name string) implementation {
	for _, i := range implementations {
		if i.name == name {
			return i
		}
	}
	return implementations[0]
}

// Backends lists the implementations that can run here, best first.
func Backends() []string {
	var names []string
	for _, i := range implementations {
		names = append(names, i.name)
	}
	return names
}

// Backend names the implementation in use: the best one for this CPU, unless the
// environment variable EDGED_KERNELS names another of Backends.
func Backend() string {
	for _, i := range implementations {
		if i.level == level {
			return i.name
		}
	}
	return ""
}

// Select switches to one of Backends, so that tests and comparisons can run on each
// of them. It must not be called while kernels run. The error names what there is.
func Select(name string) error {
	i := choose(name)
	if i.name != name {
		return fmt.Errorf("no kernels named %q here, only %q", name, Backends())
	}
	level = i.level
	return nil
}
