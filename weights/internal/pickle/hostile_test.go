package pickle

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
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

// patches are opcodes and lengths.
var patches = append(strings.Split("(.JKMQRXbchjqrstu})\x80\x85\x86\x87\x88\x89\x8a", ""),
	"\xff\xff\xff\xff", "\x00\x00\x00\x80", "\xff\xff\xff\x7f", "\x00\x00\x00\x00")

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
		data := hostile.Damage(rng, []byte(samples[round%len(samples)]), patches...)
		// The error and its text come on top of the bound for values.
		budget := uint64(3*len(data) + 84<<10)
		var ok bool
		if n := hostile.Allocated(budget, func() { ok = check(t, data) }); n > budget {
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

// FuzzParse checks that any input is refused or gives values that can be read.
func FuzzParse(f *testing.F) {
	for _, s := range stateDicts() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}
