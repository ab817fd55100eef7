package v4l2

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
)

// A camera that is plugged in between an attempt that does not find it and the
// moment the kernel is listened to is not waited for.
func TestPluggedUnheard(t *testing.T) {
	if f, err := listenUevents(); err != nil {
		t.Skip("the kernel cannot be heard here: ", err)
	} else {
		f.Close()
	}
	path := filepath.Join(t.TempDir(), "video0")
	p := newOpener(path, &camera.Options{})
	if _, err := p.open(t.Context()); err == nil {
		t.Fatal("a camera that is not there was opened")
	}
	if p.wait(t.Context(), time.Millisecond) {
		t.Error("nothing was plugged in")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !p.wait(t.Context(), time.Hour) {
		t.Error("it is there")
	}
	// One that is there and cannot be opened is waited for.
	if _, err := p.open(t.Context()); err == nil {
		t.Fatal("a file was opened as a camera")
	}
	if p.wait(t.Context(), time.Millisecond) {
		t.Error("it was there before")
	}
}

// No program that is started inherits a camera.
func TestVMCloseOnExec(t *testing.T) {
	needVM(t)
	d, err := openDevice("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if flags, err := unix.FcntlInt(d.fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}
