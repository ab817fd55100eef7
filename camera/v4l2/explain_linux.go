package v4l2

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// explain says what an error of a call means, and what to do about it, in words
// for the owner of the camera.
func explain(call string, err error) string {
	var no unix.Errno
	if !errors.As(err, &no) {
		return err.Error()
	}
	switch no {
	case unix.ENOENT:
		return "not there: it is unplugged, or called otherwise now (edged cams lists the names)"
	case unix.EACCES, unix.EPERM:
		return "no permission: add the user to the group video (sudo usermod -aG video USER) and log in again"
	case unix.EBUSY:
		return "in use by another program"
	case unix.ENODEV, unix.ENXIO:
		return "unplugged"
	case unix.ENOSPC:
		return "no room on its USB bus: plug it into another port, or ask for smaller pictures or fewer"
	case unix.EIO, unix.EPIPE, unix.EPROTO, unix.ETIMEDOUT:
		return fmt.Sprintf("it stopped working (%s: %v); a bad cable, hub or power supply does this", call, no)
	case unix.ENOTTY:
		return "no camera: the device does not know this call"
	case unix.ENOMEM:
		return "the kernel has no memory for its pictures: ask for smaller ones"
	}
	return fmt.Sprintf("%s: %v", call, err)
}
