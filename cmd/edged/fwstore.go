package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/disk"
)

// slotsPath is where bundles are installed.
func slotsPath(state string) string { return filepath.Join(state, "fw") }

// hasSlots tells whether a bundle was ever begun to be installed.
func hasSlots(state string) bool {
	_, err := os.Stat(filepath.Join(slotsPath(state), "state.json"))
	return err == nil
}

// errSlotsBusy is why the slots cannot be changed just now.
var errSlotsBusy = errors.New("another edged installs a bundle just now")

// storePatience is how long to wait for someone who uses the slots: all but installing takes moments.
const storePatience = 2 * time.Second

// lookAtStore opens the slots of a state folder for who changes nothing. That needs neither a lock, since the state is
// replaced as a whole, nor a disk that can be written to.
func lookAtStore(state string) (*fw.Store, error) { return fw.OpenStore(disk.OS, slotsPath(state)) }

// withStore opens the slots of a state folder and runs f while nobody else uses them. A
// state of the slots that cannot be read is told to f, too.
func withStore(state string, f func(s *fw.Store, damaged error) error) error {
	dir := slotsPath(state)
	if err := disk.OS.MkdirAll(dir); err != nil {
		return advise(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return advise(err)
	}
	defer lock.Close()
	for end := time.Now().Add(storePatience); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errSlotsBusy
		}
		if err != errSlotsBusy || time.Now().After(end) {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	s, err := fw.OpenStore(disk.OS, dir)
	return advise(f(s, err))
}

// advise says what can be done where a disk refused.
func advise(err error) error {
	for _, a := range []struct {
		errno syscall.Errno
		do    string
	}{
		{syscall.ENOSPC, "make room on that disk"},
		{syscall.EDQUOT, "make room on that disk"},
		{syscall.EROFS, "that disk has to be mounted for writing; a card that wears out becomes read-only by itself"},
		{syscall.EIO, "that disk fails: dmesg tells more, and it may have to be exchanged"},
	} {
		if errors.Is(err, a.errno) {
			return fmt.Errorf("%w; %s", err, a.do)
		}
	}
	return err
}

// becomeOwner gives up root's rights for those of whoever owns the state folder, so that
// a daemon that is not root can read and change what is installed.
func becomeOwner(state string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(state)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(int(owner.Gid)), syscall.Setuid(int(owner.Uid))); err != nil {
		return fmt.Errorf("become the owner of %s: %w", state, err)
	}
	return nil
}
