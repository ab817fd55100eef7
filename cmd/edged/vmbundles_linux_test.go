package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/disk"
	"github.com/visualrwkv/edged/wire"
)

// slotsClaim is what is claimed of the slots: the versions of which one runs when the power fails now.
type slotsClaim struct{ May []uint64 }

const vmBundleConfig = "scenes: [{name: a, interval: 100ms, views: [{name: v, source: 'sim:1/front', rate: 10}]}]\n"

// TestVMBundles installs bundles 1 to 4 of the working folder on the disk of the machine of scripts/vm.sh: two
// that prove themselves, one that is given up on trial, going back to what the binary brings, and one more. Then the power is cut.
func TestVMBundles(t *testing.T) {
	if os.Getenv("EDGED_VM_BOOT") != "bundles" {
		t.Skip("needs the virtual machine of make test-vm")
	}
	claims := claimer(t)
	claim := func(may ...uint64) {
		t.Helper()
		if err := writeClaim(claims, slotsClaim{may}); err != nil {
			t.Fatal(err)
		}
	}
	do := func(args ...string) {
		t.Helper()
		out, err := exec.Command("./edged", append(append([]string{"fw"}, args...), "-state", vmState)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	install := func(v uint64) {
		t.Helper()
		do("install", fmt.Sprintf("%d.fw", v), "-trust", "fw.pub", "-quiet")
	}
	config := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(config, []byte(vmBundleConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(want string, end unix.Signal) {
		t.Helper()
		var said syncBuffer
		cmd := exec.Command("./edged", "run", "-config", config, "-state", vmState, "-socket", "/tmp/edged.sock")
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, want, func() bool { return strings.Contains(said.String(), want) })
		cmd.Process.Signal(end)
		if err := cmd.Wait(); err != nil && end != unix.SIGKILL {
			t.Fatalf("%v: %s", err, &said)
		}
	}
	claim(0, 1)
	install(1)
	try("proved itself", unix.SIGTERM)
	claim(1)
	claim(1, 2)
	install(2)
	try("proved itself", unix.SIGTERM)
	claim(2)
	claim(2, 3)
	install(3)
	try("is tried", unix.SIGKILL)
	do("rollback")
	claim(2)
	claim(0, 2)
	do("rollback") // version 1 made room for the third
	claim(0)
	claim(0, 4)
	install(4)
	fmt.Println("vm: cut")
	time.Sleep(time.Hour)
}

// TestBundlePowerCuts looks at the disks that a power cut may have left while TestVMBundles ran: the state of the slots can be
// read, a version runs that may, and it is whole. On some of them a daemon is started, which says something.
func TestBundlePowerCuts(t *testing.T) {
	l := openDiskLog(t)
	runs, tried, claims := map[uint64]int{}, 0, 0
	now := slotsClaim{May: []uint64{0}}
	l.found(t, func(w diskWrite) {
		var c slotsClaim
		if claimOf(t, w, &c) {
			now = c
			claims++
		}
	}, func(_ powerCut, dir string) error {
		state := filepath.Join(dir, filepath.Base(vmState))
		s, err := fw.OpenStore(disk.OS, slotsPath(state))
		if err != nil {
			return err
		}
		i, err := s.Start(t.Context(), "")
		if err != nil {
			return err
		}
		version := uint64(0)
		if i != nil {
			version = i.Manifest.Version
			for n := range i.Manifest.Files {
				if err := sameFile(i.Path(&i.Manifest.Files[n]), i.Manifest.Files[n].Sum); err != nil {
					return err
				}
			}
		}
		if !slices.Contains(now.May, version) {
			return fmt.Errorf("version %d runs, not one of %v", version, now.May)
		}
		if runs[version]++; runs[version]%8 == 1 {
			tried++
			return speaks(t, state)
		}
		return nil
	})
	t.Logf("disks by the version that runs: %v; a daemon was started on %d", runs, tried)
	if claims < 9 || len(runs) < 4 {
		t.Errorf("%d claims, and few versions ran", claims)
	}
}

// sameFile reads a file, which must have that sum.
func sameFile(path string, want fw.Hash) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		return fmt.Errorf("%s is not what was installed", path)
	}
	return nil
}

// speaks starts a daemon with a state folder and waits for a caption.
func speaks(t *testing.T, state string) error {
	t.Helper()
	config := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(config, []byte(vmBundleConfig), 0o600); err != nil {
		return err
	}
	socket := testSocket(t)
	p := newProcess(t, "run", "-config", config, "-state", state, "-socket", socket)
	if err := p.Start(); err != nil {
		return err
	}
	defer p.wait()
	defer p.Process.Signal(unix.SIGTERM)
	for {
		c, err := client.Dial(p.ctx, socket, nil)
		if err == nil {
			defer c.Close()
			for e, err := range c.Watch(p.ctx, &wire.Watch{From: 1}) {
				if err != nil {
					return err
				}
				if e.Event == wire.EventCaption && e.Text != "" {
					return nil
				}
			}
		}
		if p.ctx.Err() != nil {
			return errors.New("edged run says nothing")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
