package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const stateHelp = "state `folder` (default $EDGED_STATE_DIR, else /var/lib/edged for root and $XDG_STATE_HOME/edged otherwise)"

// statePath is where the state is: what the flag says, else the configuration,
// else the environment, else the user's place.
func statePath(flag, configured string) (string, error) {
	for _, p := range []string{flag, configured, os.Getenv("EDGED_STATE_DIR")} {
		if p != "" {
			return p, nil
		}
	}
	if os.Getuid() == 0 {
		return "/var/lib/edged", nil
	}
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) { // a relative one is to be ignored, says the standard
		return filepath.Join(d, "edged"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for the state, give one with -state: %w", err)
	}
	return filepath.Join(home, ".local", "state", "edged"), nil
}

// errLocked is why a second daemon does not use a state folder.
var errLocked = errors.New("another edged uses this state folder")

// lockState makes the folder and locks it for this process, which ends the lock
// whatever way it ends.
func lockState(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}
