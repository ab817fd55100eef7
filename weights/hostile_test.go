package weights

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
)

// meter returns the bytes that f allocates, garbage included, and those of the rest
// of the process: a test that uses one cannot run in parallel with others.
// hostile.Allocated is one.
type meter func(expected uint64, f func()) uint64

// quickMeter does not stop the world, and misses the newest objects of each size,
// some 100 KB in all. With it fuzzing runs a thousand times as many inputs.
func quickMeter(_ uint64, f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// exercise reads everything that an open file offers and checks that it is
// consistent.
func exercise(t testing.TB, f *File, size int) {
	var buf [64]float32
	for _, x := range f.Tensors() {
		if f.Lookup(x.Name) == nil || x.Size() > size || x.Offset() < 0 || x.Offset() > int64(size) {
			t.Fatalf("%s: %d bytes at %d in a file of %d", x.Name, x.Size(), x.Offset(), size)
		}
		data, err := x.Data()
		if err != nil {
			if !errors.Is(err, ErrFormat) || data != nil {
				t.Fatalf("%d bytes and %v", len(data), err)
			}
			continue
		}
		if len(data) != x.Size() {
			t.Fatalf("%s: %d bytes, not %d", x.Name, len(data), x.Size())
		}
		if wideners[x.Type] == nil {
			continue
		}
		n := min(len(buf), x.Len())
		if err := errors.Join(x.Float32At(buf[:n], 0), x.Float32At(buf[:n], x.Len()-n)); err != nil {
			t.Fatal(err)
		}
		var w bytes.Buffer
		if _, err := x.WriteTo(&w); err != nil || !bytes.Equal(w.Bytes(), data) {
			t.Fatalf("%s: WriteTo and Data differ, %v", x.Name, err)
		}
	}
	for _, kv := range f.Meta() {
		v := kv.Value
		_ = v.String()
		_, e1 := v.Int()
		_, e2 := v.Uint32()
		_, e3 := v.Bool()
		_, e4 := v.Str()
		_, e5 := v.Strs()
		_, e6 := v.Float32s()
		_, e7 := v.Ints()
		_, e8 := v.Float()
		for _, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8} {
			if err != nil && !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
		}
	}
}

// attack opens data, which must be refused clearly or be consistent, within
// the bounds of memory.
func (m meter) attack(t testing.TB, what string, data []byte) (ok bool) {
	t.Helper()
	var f *File
	var err error
	budget := hostile.Budget(len(data))
	if used := m(budget, func() { f, err = OpenBytes("f", data) }); used > budget {
		t.Fatalf("%s: %d bytes allocated for a file of %d", what, used, len(data))
	}
	if err != nil {
		if !errors.Is(err, ErrFormat) || !strings.HasPrefix(err.Error(), "f: ") || len(err.Error()) > 700 {
			t.Fatalf("%s: unclear error %v", what, err)
		}
		return false
	}
	exercise(t, f, len(data))
	return true
}

// attackIndex is attack on the index of a sharded set.
func (m meter) attackIndex(t testing.TB, what string, data []byte) bool {
	t.Helper()
	var err error
	budget := hostile.Budget(len(data))
	if used := m(budget, func() { _, err = parseIndex("f", data) }); used > budget {
		t.Fatalf("%s: %d bytes allocated for an index of %d", what, used, len(data))
	}
	if err != nil && !errors.Is(err, ErrFormat) {
		t.Fatalf("%s: unclear error %v", what, err)
	}
	return err == nil
}

// safetensorsSample is a file with all features of the format.
func safetensorsSample() []byte {
	return buildSafetensors(`{"__metadata__":{"format":"pt","a\u0062":"c\n"},`+member("x.weight", "F32", []int{2, 3}, []int{0, 24})+","+
		member("x.bias", "BF16", []int{3}, []int{24, 30})+","+member("ids", "I64", []int{}, []int{30, 38})+","+
		member("h", "F16", []int{1, 1}, []int{38, 40})+"}  ", 40)
}

const indexSample = `{"metadata":{"total_size":12},"weight_map":{"a.weight":"one.safetensors","b":"two.safetensors","c":"one.safetensors"}}`

// TestMutations damages files of each format a thousand times.
func TestMutations(t *testing.T) {
	m := meter(hostile.Allocated)
	for _, format := range []struct {
		name   string
		seeds  [][]byte
		attack func(testing.TB, string, []byte) bool
	}{
		{"pth", [][]byte{readTestdata(t, "flat.pth"), readTestdata(t, "strided.pth"), readTestdata(t, "module.pth"), readTestdata(t, "long1.pth"),
			buildZip(zipOptions{zip64: true}, zipFile{"m/data.pkl", dictOf(pickled{})}, zipFile{"m/data/0", string(make([]byte, 24))}),
			readTestdata(t, filepath.Base(restHalf))}, m.attack},
		{"pickle", [][]byte{pickleOf(t, "flat.pth"), pickleOf(t, "strided.pth"), []byte(dictOf(pickled{numel: "K\x78"}))},
			func(t testing.TB, what string, b []byte) bool { return m.attack(t, what, archive(b)) }},
		{"safetensors", [][]byte{safetensorsSample()}, m.attack},
		{"index", [][]byte{[]byte(indexSample)}, m.attackIndex},
		{"gguf", [][]byte{readTestdata(t, "ggml.gguf")}, m.attack},
	} {
		t.Run(format.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			valid := 0
			for i := range 1000 {
				b := hostile.Damage(r, format.seeds[i%len(format.seeds)])
				if format.attack(t, fmt.Sprint("mutation ", i), b) {
					valid++
				}
			}
			// Most damage hits structure; damage to data and names must not
			// be refused.
			if valid == 0 || valid > 700 {
				t.Errorf("%d of 1000 are accepted", valid)
			}
		})
	}
}

// pickleOf returns the pickle of a .pth.
func pickleOf(t testing.TB, name string) []byte {
	entries, err := readZip(name, readTestdata(t, name))
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range entries {
		if strings.HasSuffix(name, "/data.pkl") {
			return e.data
		}
	}
	t.Fatal("no pickle")
	return nil
}

// archive puts a pickle beside storages of the sizes that the samples use.
func archive(pkl []byte) []byte {
	files := []zipFile{{"m/data.pkl", string(pkl)}}
	for i, n := range []int{480, 18200} {
		files = append(files, zipFile{fmt.Sprintf("m/data/%d", i), string(make([]byte, n))})
	}
	return buildZip(zipOptions{}, files...)
}
