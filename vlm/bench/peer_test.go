package bench

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/weights"
)

// script stands for llama-bench.
func script(t *testing.T, text string) string {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("a shell is needed: ", err)
	}
	path := filepath.Join(t.TempDir(), "llama-bench")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o777); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPeer(t *testing.T) {
	o := tinyOptions(t, quant.P4, Decode, Prefill, Batch)
	o.Runs = 3
	log := filepath.Join(t.TempDir(), "log")
	o.Peer = script(t, `echo "$@" >>`+log+`
while [ $# -gt 0 ]; do case $1 in -p) p=$2;; -n) n=$2;; esac; shift 2; done
echo "[{\"n_prompt\": $p, \"n_gen\": $n, \"avg_ts\": 100.5, \"stddev_ts\": 0}]"`)
	for _, r := range mustRun(t, o) {
		if r.What == Batch {
			if r.Peer != nil {
				t.Errorf("%+v", r.Peer)
			}
			continue
		}
		p := r.Peer
		if p == nil || math.Abs(p.TokS-100.5) > 1e-3 || p.ModelBytes < r.ModelBytes/2 {
			t.Fatalf("%s: %+v", r.What, p)
		}
		if ratio := r.TokS / p.TokS; p.Ratio < ratio*0.999 || p.Ratio > ratio*1.001 {
			t.Errorf("%s: ratio %v, want %v", r.What, p.Ratio, ratio)
		}
	}
	calls, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(calls)), "\n")
	if len(lines) != 6 || !strings.HasSuffix(lines[0], "tiny-q4_0-peer."+layoutVersion+".gguf -p 0 -n 3 -t 2 -r 1 -o json") || !strings.Contains(lines[5], " -p 3 -n 0 ") {
		t.Errorf("calls:\n%s", calls)
	}
}

// TestVisionPeer has a peer that is fastest in Q8_0.
func TestVisionPeer(t *testing.T) {
	o := tinyOptions(t, quant.P8, Vision)
	o.Runs, o.Tower = 3, []string{tiny}
	o.Peer = script(t, "exit 1")
	cli := `case "$*" in *q8_0-tower-peer*--image*--image*--image*) ms=7;; *) ms=90;; esac
for last; do :; done; [ -s "$last" ] || exit 1
for i in 900 $ms $ms; do echo "mtmd batch encoding done in $i ms" >&2; done`
	if err := os.WriteFile(filepath.Join(filepath.Dir(o.Peer), "llama-mtmd-cli"), []byte("#!/bin/sh\n"+cli), 0o777); err != nil {
		t.Fatal(err)
	}
	rows := mustRun(t, o)
	if len(rows) != 1 || rows[0].Peer == nil {
		t.Fatalf("%+v", rows)
	}
	r, p := rows[0], rows[0].Peer
	if p.MS != 7 || p.TokS != 0 || !strings.Contains(p.Model, "q8_0") || p.ModelBytes == 0 {
		t.Errorf("%+v", p)
	}
	if p.Ratio < 7/r.MSMax*0.999 || p.Ratio > 7/r.MSMin*1.001 {
		t.Errorf("ratio %v of 7 ms to %v ms", p.Ratio, r.MS)
	}
	for out, ok := range map[string]bool{"": false, "encoding done in 5 ms\nencoding done in 5 ms\nencoding done in 0 ms": true, "encoding done in 5 ms": false,
		"encoding done in 1 ms\nencoding done in 0 ms\nencoding done in 0 ms": false} {
		if _, err := parseEncoded([]byte(out), nil); (err == nil) != ok {
			t.Errorf("%q: %v", out, err)
		}
	}
}

// TestPeerModel holds what llama.cpp's loader asks of a model of architecture rwkv6.
func TestPeerModel(t *testing.T) {
	s, err := ParseShape(tiny)
	if err != nil {
		t.Fatal(err)
	}
	path, err := obtain(t.Context(), t.TempDir(), peerFile(s, quant.P8, false), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if a, err := f.Meta().Str("general.architecture"); a != "rwkv6" {
		t.Errorf("architecture %q, %v", a, err)
	}
	for name, want := range map[string]weights.DType{
		"token_embd.weight": weights.Q8_0, "output.weight": weights.Q8_0, "blk.1.channel_mix_value.weight": weights.Q8_0,
		"blk.0.time_mix_w2.weight": weights.F32, "blk.1.time_mix_lerp_fused.weight": weights.F32,
	} {
		if x := f.Lookup(name); x == nil || x.Type != want {
			t.Errorf("%s: %v", name, x)
		}
	}
	if n := len(f.Tensors()); n != 6+2*24 {
		t.Errorf("%d tensors", n)
	}
}

func TestPeerFails(t *testing.T) {
	o := tinyOptions(t, quant.Q8_0, Decode)
	for text, want := range map[string]string{
		"echo one >&2; echo two >&2; exit 3": "exit status 3: two",
		"echo hello":                         "not what llama-bench",
		"echo []":                            "no result",
	} {
		o.Peer = script(t, text)
		if err := Run(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	o.Peer = "/nowhere/llama-bench"
	if err := Run(t.Context(), o, nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	o.Peer = script(t, "exec sleep 1000000")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := Run(ctx, o, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
