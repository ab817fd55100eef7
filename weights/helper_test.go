package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mustOpen opens test data until the end of the test.
func mustOpen(t testing.TB, paths ...string) *File {
	t.Helper()
	f, err := OpenAll(paths...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// wantError checks that err is a format error with all parts in its text.
func wantError(t testing.TB, what string, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, ErrFormat) {
		t.Errorf("%s: %v; want a format error", what, err)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v; want %q in it", what, err, p)
		}
	}
}

// zipFile is a member of a hand-made archive.
type zipFile struct {
	name, data string
}

// zipOptions make an archive deviate from what torch.save writes.
type zipOptions struct {
	zip64  bool                               // sizes, offsets and the end record in 64 bits
	member func(i int, local, central []byte) // changes the headers of a member
	end    func(record []byte)                // changes the last end record
	tail   string                             // its comment
}

func buildZip(o zipOptions, files ...zipFile) []byte {
	le := binary.LittleEndian
	var out, dir []byte
	for i, f := range files {
		size, off := uint32(len(f.data)), uint32(len(out))
		local := make([]byte, lenLocal)
		copy(local, sigLocal)
		le.PutUint32(local[18:], size)
		le.PutUint32(local[22:], size)
		le.PutUint16(local[26:], uint16(len(f.name)))
		le.PutUint16(local[28:], 5)

		central := make([]byte, lenCentral)
		copy(central, sigCentral)
		var extra []byte
		if o.zip64 {
			extra = le.AppendUint16(extra, 7) // another field first
			extra = le.AppendUint16(extra, 1)
			extra = append(extra, 0)
			extra = le.AppendUint16(extra, extraZip64)
			extra = le.AppendUint16(extra, 24)
			extra = le.AppendUint64(extra, uint64(size))
			extra = le.AppendUint64(extra, uint64(size))
			extra = le.AppendUint64(extra, uint64(off))
			size, off = 1<<32-1, 1<<32-1
		}
		le.PutUint32(central[20:], size)
		le.PutUint32(central[24:], size)
		le.PutUint16(central[28:], uint16(len(f.name)))
		le.PutUint16(central[30:], uint16(len(extra)))
		le.PutUint32(central[42:], off)
		if o.member != nil {
			o.member(i, local, central)
		}
		out = append(append(append(out, local...), f.name...), "PADDD"...)
		out = append(out, f.data...)
		dir = append(append(append(dir, central...), f.name...), extra...)
	}
	start := len(out)
	out = append(out, dir...)
	end := make([]byte, lenEnd)
	copy(end, sigEnd)
	if o.zip64 {
		end64 := make([]byte, lenEnd64)
		copy(end64, sigEnd64)
		le.PutUint64(end64[4:], lenEnd64-12)
		le.PutUint64(end64[24:], uint64(len(files)))
		le.PutUint64(end64[32:], uint64(len(files)))
		le.PutUint64(end64[40:], uint64(len(dir)))
		le.PutUint64(end64[48:], uint64(start))
		loc := make([]byte, lenLoc64)
		copy(loc, sigLoc64)
		le.PutUint64(loc[8:], uint64(len(out)))
		out = append(append(out, end64...), loc...)
		for i := 8; i < 20; i++ {
			end[i] = 0xff
		}
	} else {
		le.PutUint16(end[8:], uint16(len(files)))
		le.PutUint16(end[10:], uint16(len(files)))
		le.PutUint32(end[12:], uint32(len(dir)))
		le.PutUint32(end[16:], uint32(start))
	}
	le.PutUint16(end[20:], uint16(len(o.tail)))
	if o.end != nil {
		o.end(end)
	}
	return append(append(out, end...), o.tail...)
}

// pickled is one tensor of a hand-made pickle. The fields are opcodes; empty
// ones get those of a float32 vector of 6 elements in storage "0".
type pickled struct {
	name, class, key, numel, offset, shape, stride string
}

func unicode(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func (p pickled) code() string {
	pid := "(" + unicode("storage") + "ctorch\n" + or(p.class, "FloatStorage") + "\n" + unicode(or(p.key, "0")) +
		unicode("cpu") + or(p.numel, "K\x06") + "tQ"
	return unicode(or(p.name, "x")) + "ctorch._utils\n_rebuild_tensor_v2\n(" + pid + or(p.offset, "K\x00") +
		or(p.shape, "K\x06\x85") + or(p.stride, "K\x01\x85") + "\x89ccollections\nOrderedDict\n)RtR"
}

// buildPth makes an archive of a pickle and one storage of 6 float32.
func buildPth(code string) []byte {
	return buildZip(zipOptions{}, zipFile{"m/data.pkl", code}, zipFile{"m/data/0", string(make([]byte, 24))})
}

// dictOf is a pickle of a dictionary of tensors.
func dictOf(tensors ...pickled) string {
	code := "\x80\x02}("
	for _, p := range tensors {
		code += p.code()
	}
	return code + "u."
}

// buildSafetensors puts the length in front of a header and data behind it.
func buildSafetensors(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

// member is a tensor of a safetensors header.
func member(name, dtype string, shape, offsets any) string {
	list := func(v any) string { return strings.ReplaceAll(fmt.Sprint(v), " ", ",") }
	return fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":%s}`, name, dtype, list(shape), list(offsets))
}

// ggufBytes assembles a GGUF file from its primitives: uint32, uint64 and raw
// bytes as they are, text with its length. int pads with zeros to a multiple.
func ggufBytes(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case byte:
			b = append(b, p)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, p)
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, p)
		case string:
			b = append(binary.LittleEndian.AppendUint64(b, uint64(len(p))), p...)
		case []byte:
			b = append(b, p...)
		case int:
			for len(b)%p != 0 {
				b = append(b, 0)
			}
		default:
			panic(fmt.Sprintf("%T", p))
		}
	}
	return b
}

var magic = []byte(magicGGUF)
