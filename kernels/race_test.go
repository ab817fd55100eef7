//go:build race

package kernels

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRaceDetector lets a copy of this process race inside kernels, by writing what the
// other goroutine reads, and expects the detector to say so.
func TestRaceDetector(t *testing.T) {
	x, y := make([]float32, 1024), make([]float32, 1024)
	bytes := make([]uint8, 160)
	p := newPacked(t, newRand(), 16, 64)
	// The detector knows Go's memory only, not the guarded pages of other tests.
	a := tile{64, 1, make([]int8, 64), make([]float32, 1), make([]int32, 2)}
	w8 := p.bytes8()
	races := map[string][2]func(){
		"vector": {func() { Exp(x, y) }, func() { Add(y, x, y) }},
		"matrix": {func() { MulP8(x[:16], 16, w8, p.ws, a.q, a.scale, a.sum, 16, 64, 1) }, func() { Softmax(x[:4]) }},
		"tile":   {func() { QuantizeTile(a.q, a.scale, a.sum, x[:64], 64, 1) }, func() { MulP4(y[:16], 16, p.w4, p.ws, p.wg, a.q, a.scale, a.sum, 16, 64, 1) }},
		"state":  {func() { StateRead(y[:8], x[:64], y[8:16], 1, 8) }, func() { WKV6(y[16:24], x[:64], y[24:32], y[32:40], y[40:48], y[48:56], y[56:64], 1, 8, 1, 8) }},
		"delta": {func() { StateRead(y[:8], x[:64], y[8:16], 1, 8) }, func() {
			WKV7(y[16:24], x[:64], y[24:32], y[32:40], y[40:48], y[48:56], y[56:64], y[64:72], 1, 8, 1, 8)
		}},
		"pixels": {func() { GreyToRGB(bytes[:96], bytes[96:128]) }, func() { Transpose(bytes[128:], 32, bytes[:32], 1, 32, 1) }},
	}
	if name := os.Getenv("EDGED_TEST_RACE"); name != "" {
		done := make(chan struct{})
		go func() {
			races[name][0]()
			close(done)
		}()
		races[name][1]()
		<-done
		return
	}
	for name := range races {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRaceDetector$")
		cmd.Env = append(os.Environ(), "EDGED_TEST_RACE="+name)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "WARNING: DATA RACE") {
			t.Errorf("%s: no race was reported: %v\n%s", name, err, out)
		}
	}
}
