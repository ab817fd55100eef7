package vlm_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/vlm"
)

// smallest keeps states short, so that mutations meet the header often.
var smallest = tinymodel.Spec{Seed: 6, Vocab: 120, H: 1, N: 8, F: 16, L: 1, E: 1, Image: 32, Patch: 8, Width: 8, Heads: 2, MLP: 8}

// sizes are what lengths and counts are damaged with.
var sizes = []string{"\x00\x00\x00\x00", "\x01\x00\x00\x00", "\xff\x00\x00\x00", "\x00\x00\x01\x00", "\xff\xff\xff\x7f", "\xff\xff\xff\xff"}

// seal recomputes the checksum, so that a mutation gets past it.
func seal(b []byte) []byte {
	if len(b) < 4 {
		return b
	}
	sum := crc32.Checksum(b[:len(b)-4], crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(b[len(b)-4:], sum)
	return b
}

func TestStateMutations(t *testing.T) {
	m := open(t, smallest, nil)
	s := stream(t, m)
	see(t, s, 1, 2)
	good := s.State()
	rng := rand.New(rand.NewPCG(1, 1))
	victim := stream(t, m)
	see(t, victim, 3)
	before := victim.State()
	for i := range 1000 {
		b := hostile.Damage(rng, good, sizes...)
		if slices.Equal(b, good) {
			continue
		}
		err := victim.SetState(b)
		if err == nil || !errors.Is(err, vlm.ErrState) {
			t.Fatalf("mutation %d: %v", i, err)
		}
		if !slices.Equal(victim.State(), before) {
			t.Fatalf("mutation %d: refused, but the stream changed", i)
		}
	}
	// With a right checksum whatever is accepted must be a state that works.
	accepted := 0
	for i := range 1000 {
		b := seal(hostile.Damage(rng, good, sizes...))
		if err := victim.SetState(b); err != nil {
			if !errors.Is(err, vlm.ErrState) && !errors.Is(err, vlm.ErrOtherModel) {
				t.Fatalf("mutation %d: %v", i, err)
			}
			continue
		}
		accepted++
		if !slices.Equal(victim.State(), b) {
			t.Fatalf("mutation %d: accepted, but not kept", i)
		}
		ask(t, victim, "what?")
	}
	if accepted == 0 || accepted > 700 {
		t.Errorf("%d sealed mutations accepted", accepted)
	}
}

func TestStateAllocation(t *testing.T) {
	m := open(t, smallest, nil)
	s := stream(t, m)
	see(t, s, 1, 2)
	b := s.State()
	// A state that claims four gigabytes of image tokens.
	binary.LittleEndian.PutUint32(b[56:], 1<<15)
	binary.LittleEndian.PutUint32(b[64:], 1<<32-64)
	seal(b)
	n := testing.AllocsPerRun(5, func() {
		if s.SetState(b) == nil {
			t.Fatal("accepted")
		}
	})
	if n > 20 {
		t.Errorf("%v allocations to refuse a state", n)
	}
}

func TestStateOfAnotherModel(t *testing.T) {
	a := stream(t, open(t, smallest, nil))
	see(t, a, 1)
	other := smallest
	other.Seed++
	b := stream(t, open(t, other, nil))
	if err := b.SetState(a.State()); !errors.Is(err, vlm.ErrOtherModel) {
		t.Errorf("error %v", err)
	}
	settings := stream(t, open(t, smallest, func(o *vlm.Options) {
		o.Config = append([]byte(`{"image.encoder_tokens": 4, "image.decoder_tokens": 4, "vision.siglip.head_count": 2,`), `"prompt.stop": 97}`...)
	}))
	if err := settings.SetState(a.State()); !errors.Is(err, vlm.ErrOtherModel) {
		t.Errorf("other settings: error %v", err)
	}
}

func FuzzSetState(f *testing.F) {
	m := open(f, smallest, nil)
	s := stream(f, m)
	see(f, s, 1, 2)
	f.Add(s.State(), false)
	f.Add(stream(f, m).State(), true)
	f.Add([]byte("edgedmem"), true)
	victim := stream(f, m)
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if sealed {
			b = seal(slices.Clone(b))
		}
		if err := victim.SetState(b); err != nil {
			return
		}
		if !slices.Equal(victim.State(), b) {
			t.Error("accepted, but not kept")
		}
	})
}
