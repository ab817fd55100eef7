package v4l2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/sys/unix"
)

// usbCamera is a USB camera as far as the kernel can tell: its own drivers find it on the
// virtual bus vhci_hcd, which speaks USB/IP with it, and uvcvideo takes its pictures, YUYV
// in bulk transfers, as of version 1.0 of the USB device class for video. All pixels of its
// pictures but the first line have the same brightness.
type usbCamera struct {
	serial string
	luma   byte

	mu     sync.Mutex // of what is written, and what follows
	end    *os.File   // of a pair of sockets, the kernel has the other
	wanted []transfer // of pictures
	more   chan struct{}
	gone   sync.WaitGroup
	port   int
}

// transfer is one that the kernel waits for.
type transfer struct{ seq, length uint32 }

const (
	webcamWidth, webcamHeight = 160, 120
	webcamPayload             = 16 << 10 // bytes of a bulk transfer
	webcamRate                = 10

	vhci = "/sys/devices/platform/vhci_hcd.0/"
)

// plug plugs the camera into a port of the virtual bus.
func (w *usbCamera) plug(t *testing.T, port int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	const highSpeed = 3
	line := fmt.Appendf(nil, "%d %d %d %d", port, pair[1], port+1, highSpeed)
	for range 500 { // the port may be busy with the camera before
		if err = os.WriteFile(vhci+"attach", line, 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	unix.Close(pair[1])
	if err != nil {
		unix.Close(pair[0])
		t.Fatal(err)
	}
	w.end, w.port, w.more, w.wanted = os.NewFile(uintptr(pair[0]), w.serial), port, make(chan struct{}, 1), nil
	ended := make(chan struct{})
	w.gone.Go(func() {
		defer close(ended)
		if err := w.serve(); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%s: %v", w.serial, err)
		}
	})
	w.gone.Go(func() { w.film(ended) })
}

// unplug pulls it out.
func (w *usbCamera) unplug(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(vhci+"detach", fmt.Append(nil, w.port), 0); err != nil {
		t.Error(err)
	}
	w.gone.Wait()
	w.end.Close()
}

// command is what the kernel sends, in big-endian: USBIP_CMD_SUBMIT, or USBIP_CMD_UNLINK, whose
// Flags are the number of the transfer that it no longer wants.
type command struct {
	Command, Seq, Device, In, Endpoint    uint32
	Flags, Length, Frame, Packets, Period uint32
	Setup                                 setup
}

// setup is a control transfer's own, in little-endian.
type setup [8]byte

func (s setup) value() uint16 { return binary.LittleEndian.Uint16(s[2:]) }

// serve answers the kernel until it lets go of the camera.
func (w *usbCamera) serve() error {
	for {
		var c command
		if err := binary.Read(w.end, binary.BigEndian, &c); err != nil {
			return err
		}
		var err error
		switch {
		case c.Command == 2:
			err = w.unlink(c.Seq, c.Flags)
		case c.Endpoint == 0:
			if c.In == 0 {
				if _, err := io.CopyN(io.Discard, w.end, int64(c.Length)); err != nil {
					return err
				}
			}
			data, known := w.control(c.Setup)
			status := int32(0)
			if !known {
				status = -int32(unix.EPIPE) // as a device that stalls
			}
			data = data[:min(len(data), int(c.Length))]
			n := len(data)
			if c.In == 0 {
				n = int(c.Length)
			}
			err = w.answer(c.Seq, status, n, data)
		default:
			w.mu.Lock()
			w.wanted = append(w.wanted, transfer{c.Seq, c.Length})
			w.mu.Unlock()
			select {
			case w.more <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return err
		}
	}
}

// answer sends a USBIP_RET_SUBMIT.
func (w *usbCamera) answer(seq uint32, status int32, length int, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.send(3, seq, status, length, data)
}

// send is called with mu held.
func (w *usbCamera) send(what, seq uint32, status int32, length int, data []byte) error {
	b := binary.BigEndian.AppendUint32(nil, what)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = append(b, make([]byte, 12)...)
	b = binary.BigEndian.AppendUint32(b, uint32(status))
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	b = append(b, make([]byte, 20)...)
	_, err := w.end.Write(append(b, data...))
	return err
}

// unlink gives a transfer back, if it is not on its way.
func (w *usbCamera) unlink(seq, other uint32) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	status := int32(0)
	if i := slices.IndexFunc(w.wanted, func(t transfer) bool { return t.seq == other }); i >= 0 {
		w.wanted = slices.Delete(w.wanted, i, i+1)
		status = -int32(unix.ECONNRESET)
	}
	return w.send(4, seq, status, 0, nil)
}

// film fills transfers with pictures until ended is closed.
func (w *usbCamera) film(ended chan struct{}) {
	tick := time.NewTicker(time.Second / webcamRate)
	defer tick.Stop()
	picture := bytes.Repeat([]byte{w.luma, 128}, webcamWidth*webcamHeight)
	for x := range webcamWidth {
		picture[2*x] = byte(x)
	}
	for turn := byte(0); ; turn ^= 1 {
		for rest := picture; len(rest) > 0; {
			t, ok := w.take()
			if !ok {
				select {
				case <-w.more:
					continue
				case <-ended:
					return
				}
			}
			n := min(len(rest), int(t.length)-2)
			head := []byte{2, 0x80 | turn} // its own length; whether it is of the same picture as the one before
			if n == len(rest) {
				head[1] |= 2 // the last of its picture
			}
			if w.answer(t.seq, 0, 2+n, append(head, rest[:n]...)) != nil {
				<-ended
				return
			}
			rest = rest[n:]
		}
		select {
		case <-tick.C:
		case <-ended:
			return
		}
	}
}

func (w *usbCamera) take() (t transfer, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wanted) == 0 {
		return t, false
	}
	t, w.wanted = w.wanted[0], w.wanted[1:]
	return t, true
}

// control answers a control transfer. known is whether a device answers it at all.
func (w *usbCamera) control(s setup) (data []byte, known bool) {
	const (
		toDevice, toInterface, toEndpoint      = 0x00, 0x01, 0x02
		fromDevice, classSet, classGet         = 0x80, 0x21, 0xa1
		clearFeature, getDescriptor            = 0x01, 0x06
		setConfiguration, setInterface         = 0x09, 0x0b
		device, configuration, str             = 1, 2, 3
		setCur, getCur, getMin, getMax, getLen = 0x01, 0x81, 0x82, 0x83, 0x85
		getInfo, getDef                        = 0x86, 0x87
		probe, commit                          = 1, 2
	)
	switch what := [2]byte{s[0], s[1]}; what {
	case [2]byte{fromDevice, getDescriptor}:
		switch s.value() >> 8 {
		case device:
			return []byte{18, device, 0, 2, 0xef, 2, 1, 64, 0x6b, 0x1d, 0xed, 0xed, 0, 1, 1, 2, 3, 1}, true
		case configuration:
			return webcamConfiguration(), true
		case str:
			return w.text(s.value() & 0xff)
		}
		return nil, false
	case [2]byte{toDevice, setConfiguration}, [2]byte{toInterface, setInterface}, [2]byte{toEndpoint, clearFeature}:
		return nil, true
	}
	if unit := s[4]; unit != 1 || s.value()>>8 != probe && s.value()>>8 != commit {
		return nil, false
	}
	switch {
	case s[0] == classSet && s[1] == setCur:
		return nil, true
	case s[0] != classGet:
	case s[1] == getCur || s[1] == getMin || s[1] == getMax || s[1] == getDef:
		return slices.Concat([]byte{1, 0, 1, 1}, le32(10_000_000/webcamRate), make([]byte, 10), le32(2*webcamWidth*webcamHeight), le32(webcamPayload)), true
	case s[1] == getLen:
		return []byte{26, 0}, true
	case s[1] == getInfo:
		return []byte{3}, true
	}
	return nil, false
}

// text is a descriptor of a string.
func (w *usbCamera) text(n uint16) ([]byte, bool) {
	if n == 0 {
		return []byte{4, 3, 9, 4}, true // English
	}
	if n > 3 {
		return nil, false
	}
	u := utf16.Encode([]rune([]string{"edged", "webcam", w.serial}[n-1]))
	b := []byte{byte(2 + 2*len(u)), 3}
	for _, c := range u {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b, true
}

func le16(n int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }
func le32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

// webcamConfiguration is the descriptor of the only configuration: a camera terminal that
// leads to a stream of one format and size.
func webcamConfiguration() []byte {
	const video, class, endpoint = 0x0e, 0x24, 5
	terminals := slices.Concat(
		[]byte{18, class, 2, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0}, // 1: a camera
		[]byte{9, class, 3, 2, 1, 1, 0, 1, 0},                             // 2: a USB stream, of 1
	)
	formats := slices.Concat(
		[]byte{27, class, 4, 1, 1}, []byte("YUY2\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"), []byte{16, 1, 0, 0, 0, 0},
		[]byte{30, class, 5, 1, 0}, le16(webcamWidth), le16(webcamHeight),
		le32(16*webcamWidth*webcamHeight*webcamRate), le32(16*webcamWidth*webcamHeight*webcamRate),
		le32(2*webcamWidth*webcamHeight), le32(10_000_000/webcamRate), []byte{1}, le32(10_000_000/webcamRate),
		[]byte{6, class, 13, 1, 1, 4}, // colours of sRGB
	)
	all := slices.Concat(
		[]byte{8, 11, 0, 2, video, 3, 0, 0}, // interfaces 0 and 1 are one function
		[]byte{9, 4, 0, 0, 0, video, 1, 0, 0},
		[]byte{13, class, 1, 0, 1}, le16(13+len(terminals)), le32(48_000_000), []byte{1, 1}, terminals,
		[]byte{9, 4, 1, 0, 1, video, 2, 0, 0},
		[]byte{14, class, 1, 1}, le16(14+len(formats)), []byte{0x81, 0, 2, 0, 0, 0, 1, 0}, formats,
		[]byte{7, endpoint, 0x81, 2, 0, 2, 0},
	)
	return slices.Concat([]byte{9, 2}, le16(9+len(all)), []byte{2, 1, 0, 0x80, 50}, all)
}

// udev makes the links to video nodes that its rules (60-persistent-v4l.rules) make for USB
// cameras, and removes those of nodes that are gone. It returns the node that takes pictures,
// by serial number.
func udev(t *testing.T) map[string]string {
	t.Helper()
	time.Sleep(50 * time.Millisecond) // who waits for a node asks again and again
	for _, dir := range []string{byID, byPath} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]string{}
	for _, path := range nodes() {
		serial := serialOf(path)
		index, err := os.ReadFile(filepath.Join(sysClass, filepath.Base(path), "index"))
		place, err2 := filepath.EvalSymlinks(filepath.Join(sysClass, filepath.Base(path), "device"))
		if serial == "" || err != nil || err2 != nil {
			continue // of no USB device, or gone again
		}
		end := "-video-index" + strings.TrimSpace(string(index))
		_, port, _ := strings.Cut(filepath.Base(place), "-")
		for _, link := range []string{byID + "/usb-edged_webcam_" + serial + end, byPath + "/platform-vhci_hcd.0-usb-0:" + port + end} {
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasSuffix(end, "index0") {
			found[serial] = path
		}
	}
	return found
}
