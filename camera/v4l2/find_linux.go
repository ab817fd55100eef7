package v4l2

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The places where the kernel and udev tell of cameras.
const (
	sysClass = "/sys/class/video4linux"
	byID     = "/dev/v4l/by-id"
	byPath   = "/dev/v4l/by-path"
)

// locate returns the node that a spec means now: the number of a camera changes
// when it is plugged in again, its serial number and its name by-id do not, nor
// does its place by-path.
func locate(spec string) (string, error) {
	switch {
	case strings.HasPrefix(spec, "serial:"):
		return bySerial(strings.TrimPrefix(spec, "serial:"))
	case strings.HasPrefix(spec, "by-id/"), strings.HasPrefix(spec, "by-path/"):
		spec = "/dev/v4l/" + spec
	case !strings.HasPrefix(spec, "/"):
		spec = "/dev/" + spec
	}
	path, err := filepath.EvalSymlinks(spec)
	if err != nil {
		return "", &nodeError{spec, "open", unix.ENOENT}
	}
	return path, nil
}

// bySerial finds the first node of the device with a serial number that takes
// pictures.
func bySerial(serial string) (string, error) {
	for _, path := range nodes() {
		if serialOf(path) == serial && unusable(path) == "" {
			return path, nil
		}
	}
	return "", fmt.Errorf("no camera with the serial number %s is plugged in", serial)
}

// nodes are the paths of all video nodes, by number.
func nodes() []string {
	entries, err := os.ReadDir(sysClass)
	if err != nil {
		return nil // no driver is loaded
	}
	var all []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "video") {
			all = append(all, "/dev/"+e.Name())
		}
	}
	number := func(p string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(p, "/dev/video"))
		return n
	}
	slices.SortFunc(all, func(a, b string) int { return number(a) - number(b) })
	return all
}

// serialOf is the serial number of the USB device that a node belongs to; empty
// when there is none.
func serialOf(path string) string {
	dir, err := filepath.EvalSymlinks(filepath.Join(sysClass, filepath.Base(path), "device"))
	if err != nil {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "serial"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// linkTo is the name in a folder of udev's links that leads to a node.
func linkTo(dir, path string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if to, err := filepath.EvalSymlinks(filepath.Join(dir, e.Name())); err == nil && to == path {
			return e.Name()
		}
	}
	return ""
}

// capabilities asks a node what it is.
func capabilities(path string) (c capability, err error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return c, err
	}
	defer unix.Close(fd)
	return c, ioctl(uintptr(fd), reqQueryCap, &c)
}

// unusable says why a node takes no pictures that can be read here; empty when
// it may.
func unusable(path string) string {
	c, err := capabilities(path)
	if err != nil {
		return explain("open", err)
	}
	return c.unusable()
}

// pipelines are the drivers whose nodes are stages of a CSI camera.
var pipelines = []string{"unicam", "rp1-cfe", "bcm2835-isp", "pispbe", "bcm2835-codec", "rpi-hevc-dec"}

func (c *capability) unusable() string {
	driver, can := text(c.driver[:]), c.node()
	switch {
	case slices.Contains(pipelines, driver):
		return "a part of the CSI camera's pipeline: use csi:0 instead"
	case can&(capVideoM2M|capVideoM2MMplane) != 0:
		return "no camera: it converts pictures of other programs"
	case can&capVideoCapture != 0 && can&capStreaming != 0:
		return ""
	case can&capMetaCapture != 0:
		return "no pictures: it carries data beside those of another node of the same camera"
	case can&capVideoCaptureMplane != 0:
		return "it hands out pictures in separate planes, which is not supported; if it is a CSI camera, use csi:0"
	case can&capVideoOutput != 0:
		return "no camera: it takes pictures in, to show them"
	case can&capVideoCapture != 0:
		return "it does not stream, as old analogue cards do not"
	}
	return "no camera: it takes no pictures"
}

// text is a string of C.
func text(b []uint8) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.ToValidUTF8(s, "?")
}
