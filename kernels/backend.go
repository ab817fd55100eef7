package kernels

import "fmt"

// backends lists the implementations that this build and this CPU have, best first;
// the last is always portable.
var backends = []string{"portable"}

// backend is the one in use.
var backend = backends[0]

// Backends lists the implementations that can run here, best first.
func Backends() []string { return append([]string(nil), backends...) }

// Backend names the implementation in use.
func Backend() string { return backend }

// Select switches to one of Backends, so that tests and comparisons can run on each
// of them. It must not be called while kernels run. The error names what there is.
func Select(name string) error {
	for _, b := range backends {
		if b == name {
			backend = b
			return nil
		}
	}
	return fmt.Errorf("no kernels named %q here, only %q", name, backends)
}
