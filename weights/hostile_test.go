package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
)

// allocLimit is what opening a file may allocate.
func allocLimit(size int) uint64 { return 4*uint64(size) + 1<<20 }

// meter returns the bytes allocated so far by the whole process: a test that
// uses one cannot run in parallel with others.
type meter func() uint64

// exactMeter stops the world, which takes milliseconds on a busy machine.
func exactMeter() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// quickMeter misses the newest objects of each size, some 100 KB in all. With
// it fuzzing runs a thousand times as many inputs.
func quickMeter() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// used returns the bytes that f allocates.
func (m meter) used(f func()) uint64 {
	before := m()
	f()
	return m() - before
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
	used := m.used(func() { f, err = OpenBytes("f", data) })
	if used > allocLimit(len(data)) {
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
	used := m.used(func() { _, err = parseIndex("f", data) })
	if used > allocLimit(len(data)) {
		t.Fatalf("%s: %d bytes allocated for an index of %d", what, used, len(data))
	}
	if err != nil && !errors.Is(err, ErrFormat) {
		t.Fatalf("%s: unclear error %v", what, err)
	}
	return err == nil
}

// mutate damages a copy of data in one of the ways that break readers.
func mutate(r *rand.Rand, data []byte) (string, []byte) {
	b := bytes.Clone(data)
	// Structure is at the front, and in zip archives at the back.
	at := r.IntN(len(b))
	if r.IntN(3) == 0 {
		at = r.IntN(min(len(b), 512))
	} else if r.IntN(3) == 0 {
		at = len(b) - 1 - r.IntN(min(len(b), 512))
	}
	switch r.IntN(7) {
	case 0:
		return fmt.Sprintf("cut at %d", at), b[:at]
	case 1:
		n := 1 + r.IntN(8)
		for range n {
			b[at] ^= 1 << r.IntN(8)
			at = min(len(b)-1, at+r.IntN(16))
		}
		return fmt.Sprintf("%d bits", n), b
	case 2: // a length field
		values := []uint64{0, 1, 1<<64 - 1, 1 << 63, 1<<63 - 1, 1 << 62, 1<<32 - 1, 1 << 32, 1 << 31, 1<<31 - 1, 65535,
			uint64(len(b)), uint64(len(b)) + 1, uint64(r.IntN(1024))}
		v := values[r.IntN(len(values))]
		var field [8]byte
		binary.LittleEndian.PutUint64(field[:], v)
		n := copy(b[at:], field[:1<<r.IntN(4)])
		return fmt.Sprintf("%d bytes of %#x at %d", n, v, at), b
	case 3: // digits of a JSON number, or of a name
		for i := at; i < len(b); i++ {
			if b[i] >= '0' && b[i] <= '9' {
				n := []string{"9223372036854775807", "99999999999999999999", "0", "-1", "4294967296"}[r.IntN(5)]
				return fmt.Sprintf("number %s at %d", n, i), append(b[:i:i], n+string(b[i+1:])...)
			}
		}
		return "no digit", b
	case 4:
		end := min(len(b), at+1+r.IntN(64))
		return fmt.Sprintf("without %d to %d", at, end), append(b[:at:at], b[end:]...)
	case 5:
		end := min(len(b), at+1+r.IntN(256))
		return fmt.Sprintf("%d to %d doubled", at, end), append(b[:end:end], b[at:]...)
	default:
		for i := range b[at:min(len(b), at+1+r.IntN(16))] {
			b[at+i] = byte(r.Uint32())
		}
		return fmt.Sprintf("noise at %d", at), b
	}
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
	m := meter(exactMeter)
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
				what, b := mutate(r, format.seeds[i%len(format.seeds)])
				if format.attack(t, fmt.Sprintf("mutation %d, %s", i, what), b) {
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
