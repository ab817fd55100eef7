package v4l2

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"
)

// List tells of every video node, by number. It opens each, and disturbs none
// that streams.
func List() []Node {
	var all []Node
	for _, path := range nodes() {
		all = append(all, describe(path))
	}
	return all
}

func describe(path string) Node {
	n := Node{Path: path, Spec: "v4l2:" + path, Serial: serialOf(path)}
	switch id, place := linkTo(byID, path), linkTo(byPath, path); {
	case id != "":
		n.Spec = "v4l2:by-id/" + id
	case place != "":
		n.Spec = "v4l2:by-path/" + place
	}
	c, err := capabilities(path)
	if err != nil {
		n.Reason = explain("open", err)
		return n
	}
	n.Card, n.Driver, n.Bus = text(c.card[:]), text(c.driver[:]), text(c.busInfo[:])
	if n.Reason = c.unusable(); n.Reason != "" {
		return n
	}
	d, err := openDevice(path)
	if err != nil {
		n.Reason = err.Error()
		return n
	}
	defer d.close()
	n.Formats = d.formats(func(FourCC) bool { return true })
	rungs := ladder(n.Formats, defaultWidth, defaultHeight, 0)
	if len(rungs) == 0 {
		n.Reason = cannotRead(n.Formats)
		return n
	}
	if err := d.busy(); err != nil {
		n.Reason = explain("ask", err) + holder(path)
		return n
	}
	n.Mode = rungs[0].String()
	return n
}

// cannotRead is the reason against a camera none of whose formats is read.
func cannotRead(formats []Format) string {
	var has, want []string
	for _, f := range formats {
		has = append(has, f.FourCC.String())
	}
	for _, u := range usable {
		want = append(want, u.String())
	}
	if len(has) == 0 {
		return "it offers no format"
	}
	return fmt.Sprintf("it sends %s only; %s can be read", strings.Join(has, ", "), strings.Join(want, ", "))
}

// maxOffers bounds what a driver may enumerate of one kind.
const maxOffers = 64

// formats asks for all formats in a fixed order, and for the sizes and rates of
// those that want holds for: some drivers have thousands.
func (d *device) formats(want func(FourCC) bool) []Format {
	var all []Format
	for code := range d.cam.GetSupportedFormats() {
		f := Format{FourCC: FourCC(code)}
		var sizes []webcam.FrameSize
		if want(f.FourCC) {
			sizes = d.cam.GetSupportedFrameSizes(code)
		}
		for _, s := range sizes[:min(len(sizes), maxOffers)] {
			if s.MaxWidth == 0 || s.MaxHeight == 0 {
				continue // any size: it is asked for and seen
			}
			f.Sizes = append(f.Sizes, Size{
				Width: int(s.MinWidth), Height: int(s.MinHeight), MaxWidth: int(s.MaxWidth), MaxHeight: int(s.MaxHeight),
				StepX: int(s.StepWidth), StepY: int(s.StepHeight), Rates: d.rates(code, s),
			})
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Format) int { return cmp.Compare(rank(a.FourCC), rank(b.FourCC)) })
	return all
}

// rank orders formats: those that are read, in their order, before the others.
func rank(f FourCC) uint64 {
	if i := slices.Index(usable, f); i >= 0 {
		return uint64(i)
	}
	return 1<<32 + uint64(f)
}

func (d *device) rates(code webcam.PixelFormat, s webcam.FrameSize) []float64 {
	offers := d.cam.GetSupportedFramerates(code, s.MaxWidth, s.MaxHeight)
	var all []float64
	for _, r := range offers[:min(len(offers), maxOffers)] {
		// The numbers are those of the interval; a range gives its ends.
		for _, v := range [][2]uint32{{r.MinDenominator, r.MinNumerator}, {r.MaxDenominator, r.MaxNumerator}} {
			if v[1] != 0 {
				all = append(all, float64(v[0])/float64(v[1]))
			}
		}
	}
	slices.SortFunc(all, func(a, b float64) int { return cmp.Compare(b, a) })
	return slices.Compact(all)
}

// busy is EBUSY when another program streams. Asking for no buffers changes
// nothing where none are held.
func (d *device) busy() error {
	return ioctl(d.fd, reqReqBufs, &requestBuffers{typ: typeCapture, memory: memoryMmap})
}

// holder names another process that has a node open, where that can be seen.
func holder(path string) string {
	found, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, link := range found {
		if to, err := os.Readlink(link); err != nil || to != path {
			continue
		}
		pid := strings.Split(link, "/")[2]
		if pid == fmt.Sprint(unix.Getpid()) {
			continue
		}
		name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		return fmt.Sprintf(" (%s, process %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
