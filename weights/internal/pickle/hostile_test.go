package pickle

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
)

// stateDicts are pickles as torch.save writes them: an empty attribute, and a
// dictionary with tensors of one storage.
func stateDicts() []string {
	const storage = "ctorch\nFloatStorage\n"
	dict := proto + "}q\x00("
	for _, name := range []string{"emb.weight", "ln.bias", "head.weight"} {
		dict += text(name) + "ctorch._utils\n_rebuild_tensor_v2\nq\x01((" + text("storage") + storage + text("0") + text("cpu") +
			"M\x00\x01tQK\x00K\x02K\x03\x86q\x02J\x03\x00\x00\x00K\x01\x86\x89" + ordered + "tR"
	}
	return []string{
		proto + ordered + "q\x00(" + text("a") + "K\x01u}" + text("_metadata") + ordered + "sb.",
		proto + "}" + text("a") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
			storage + text("0") + text("cpu") + "K\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89" + ordered + "tRs.",
		dict + "u.",
	}
}

// check reads what data gives, which must be values or an error with a place.
func check(t testing.TB, data []byte) (ok bool) {
	root, err := Parse(data)
	if err != nil {
		var pe *Error
		if !errors.As(err, &pe) || pe.Offset < 0 || pe.Offset > len(data) || len(err.Error()) > 400 {
			t.Fatalf("error without a place: %v", err)
		}
		return false
	}
	// One level is enough: dictionaries may hold themselves.
	pairs := 0
	for k, v := range root.Pairs() {
		pairs++
		_, _ = k.Str(), v.Global()
		for i := range v.Args().Len() {
			_, _ = v.Args().At(i).Int()
		}
	}
	if root.Kind() == Dict && pairs != root.Len() {
		t.Fatalf("%d pairs in a dict of %d", pairs, root.Len())
	}
	return true
}

// TestMutations damages state dicts a thousand times and keeps Parse to the
// memory that the package documents.
func TestMutations(t *testing.T) {
	const rounds = 1000
	samples := stateDicts()
	for _, s := range samples {
		if !check(t, []byte(s)) {
			t.Fatalf("%q is refused", s)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	valid := 0
	for round := range rounds {
		data := mutate(rng, samples[round%len(samples)])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ok := check(t, data)
		runtime.ReadMemStats(&after)
		// The error and its text come on top of the bound for values.
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(3*len(data)+80<<10+4<<10) {
			t.Fatalf("mutation %d: %d bytes allocated for %d: %q", round, n, len(data), data)
		}
		if ok {
			valid++
		}
	}
	if valid == 0 || valid > rounds/2 {
		t.Errorf("%d of %d are accepted", valid, rounds)
	}
}

// mutate returns a copy with up to three damages: bits, opcodes, length fields,
// lost or doubled stretches, cuts.
func mutate(rng *rand.Rand, s string) []byte {
	b := []byte(s)
	for range 1 + rng.IntN(3) {
		if len(b) == 0 {
			break
		}
		i := rng.IntN(len(b))
		j := min(len(b), i+1+rng.IntN(12))
		switch rng.IntN(6) {
		case 0:
			b[i] ^= 1 << rng.IntN(8)
		case 1:
			const ops = "(.JKMQRXbchjqrstu})\x80\x85\x86\x87\x88\x89\x8a"
			b[i] = ops[rng.IntN(len(ops))]
		case 2:
			copy(b[i:], []string{"\xff\xff\xff\xff", "\x00\x00\x00\x80", "\xff\xff\xff\x7f", "\x00\x00\x00\x00"}[rng.IntN(4)])
		case 3:
			b = append(b[:i], b[j:]...)
		case 4:
			b = append(b[:j:j], b[i:]...)
		case 5:
			b = b[:i]
		}
	}
	return b
}

// FuzzParse checks that any input is refused or gives values that can be read.
func FuzzParse(f *testing.F) {
	for _, s := range stateDicts() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}
