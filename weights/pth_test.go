package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestZip(t *testing.T) {
	pkl := zipFile{"m/data.pkl", dictOf(pickled{})}
	data := zipFile{"m/data/0", strings.Repeat("abcd", 6)}
	for what, b := range map[string][]byte{
		"zip":       buildZip(zipOptions{}, pkl, data),
		"zip64":     buildZip(zipOptions{zip64: true}, pkl, data),
		"comment":   buildZip(zipOptions{tail: "hello"}, pkl, data),
		"byteorder": buildZip(zipOptions{}, pkl, data, zipFile{"m/byteorder", "little"}, zipFile{"m/.data/serialization_id", "1"}),
	} {
		f, err := OpenBytes(what, b)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := string(f.Lookup("x").Bytes()); got != data.data {
			t.Errorf("%s: %q", what, got)
		}
	}
}

func TestZipErrors(t *testing.T) {
	le := binary.LittleEndian
	pkl := zipFile{"m/data.pkl", dictOf(pickled{})}
	data := zipFile{"m/data/0", string(make([]byte, 24))}
	central := func(off int, b ...byte) zipOptions {
		return zipOptions{member: func(i int, _, central []byte) {
			if i == 1 {
				copy(central[off:], b)
			}
		}}
	}
	end := func(off int, v uint32) zipOptions {
		return zipOptions{end: func(rec []byte) { le.PutUint32(rec[off:], v) }}
	}
	for _, c := range []struct {
		what string
		b    []byte
		want string
	}{
		{"cut", buildZip(zipOptions{}, pkl, data)[:200], "without an end record"},
		{"deflated", buildZip(central(10, 8), pkl, data), `"m/data/0": is compressed (method 8)`},
		{"encrypted", buildZip(central(8, 1), pkl, data), "is encrypted"},
		{"sizes", buildZip(central(20, 23), pkl, data), "23 bytes but 24"},
		{"size", buildZip(central(20, 0, 1, 0, 0, 0, 1, 0, 0), pkl, data), "256 bytes where"},
		{"offset", buildZip(central(42, 1), pkl, data), "no local header"},
		{"far offset", buildZip(central(42, 0xff, 0xff, 0xff, 0x7f), pkl, data), "no local header"},
		{"wrong offset", buildZip(central(42, 0, 0, 0, 0), pkl, data), "another name"},
		{"no zip64", buildZip(central(42, 0xff, 0xff, 0xff, 0xff), pkl, data), "lacks its zip64 sizes"},
		{"signature", buildZip(central(0, 'X'), pkl, data), "no zip directory entry"},
		{"name length", buildZip(central(28, 0xff, 0xff), pkl, data), "cut off"},
		{"twice", buildZip(zipOptions{}, pkl, data, data), "is there twice"},
		{"empty name", buildZip(zipOptions{}, pkl, zipFile{"", ""}), "empty name"},
		{"directory offset", buildZip(end(16, 1<<30), pkl, data), "outside the file"},
		{"directory size", buildZip(end(12, 1<<30), pkl, data), "outside the file"},
		{"count", buildZip(zipOptions{end: func(r []byte) { le.PutUint16(r[10:], 9) }}, pkl, data), "9 zip entries in a directory"},
		{"huge count", buildZip(zipOptions{end: func(r []byte) { le.PutUint16(r[10:], 65535) }}, pkl, data), "more than"},
		{"byteorder", buildZip(zipOptions{}, pkl, data, zipFile{"m/byteorder", "big"}), `byte order is "big"`},
		{"no pickle", buildZip(zipOptions{}, data), "without the STEM/data.pkl"},
		{"deep pickle", buildZip(zipOptions{}, zipFile{"a/b/data.pkl", pkl.data}), "without the STEM/data.pkl"},
		{"two pickles", buildZip(zipOptions{}, pkl, zipFile{"b/data.pkl", ""}), `two pickles, under "b" and "m"`},
		{"empty pickle", buildZip(zipOptions{}, zipFile{"m/data.pkl", ""}), "ends without STOP"},
	} {
		_, err := OpenBytes("f.pth", c.b)
		wantError(t, c.what, err, "f.pth: ", c.want)
	}
	b := buildZip(zipOptions{zip64: true}, pkl, data)
	le.PutUint64(b[len(b)-lenEnd-lenLoc64+8:], 1<<63)
	_, err := OpenBytes("f.pth", b)
	wantError(t, "zip64", err, "zip64 end record at byte 9223372036854775808 is not there")
	b = buildZip(zipOptions{zip64: true}, pkl, data)
	le.PutUint64(b[len(b)-lenEnd-lenLoc64-lenEnd64+48:], 1<<63)
	_, err = OpenBytes("f.pth", b)
	wantError(t, "zip64", err, "outside the file")
	b = buildZip(zipOptions{zip64: true}, pkl, data)
	le.PutUint64(b[len(b)-lenEnd-lenLoc64-lenEnd64+32:], 1<<63)
	_, err = OpenBytes("f.pth", b)
	wantError(t, "zip64", err, "zip entries, more than")
}

func TestPickledViews(t *testing.T) {
	long := func(n uint64) string { return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, n)) }
	largest := long(math.MaxInt)
	dict := "\x80\x02}" + unicode("x")
	for _, c := range []struct {
		what string
		code string
		want string // in the error; empty for none
	}{
		{"plain", dictOf(pickled{}), ""},
		{"offset", dictOf(pickled{offset: "K\x02", shape: "K\x04\x85"}), ""},
		{"last", dictOf(pickled{offset: "K\x05", shape: "K\x01\x85", stride: largest + "\x85"}), ""},
		{"empty", dictOf(pickled{shape: "K\x00" + largest + "\x86", stride: "K\x01K\x01\x86"}), ""},
		{"two", dictOf(pickled{}, pickled{name: "y"}), ""},
		{"long1", dictOf(pickled{numel: "\x8a\x01\x06"}), ""},
		{"no tensors", "\x80\x02}.", ""},
		{"same name", dictOf(pickled{}, pickled{}), `tensor "x": is there twice`},
		{"no name", "\x80\x02}" + unicode("") + ")s.", `tensor "": empty name`},
		{"key", "\x80\x02}))s.", "key of the dict is no text but tuple"},
		{"root", "\x80\x02).", "holds no dict but tuple"},
		{"value", dict + "K\x07s.", "is no tensor but int"},
		{"arguments", dict + "ctorch._utils\n_rebuild_tensor_v2\n)Rs.", "with 0 arguments"},
		{"behind", dictOf(pickled{offset: "K\x01"}), "ends behind its storage"},
		{"far behind", dictOf(pickled{offset: largest}), "ends behind its storage"},
		{"at end", dictOf(pickled{offset: "K\x06", shape: ")", stride: ")"}), "ends behind its storage"},
		{"stride", dictOf(pickled{stride: "K\x02\x85"}), "ends behind its storage"},
		{"far stride", dictOf(pickled{stride: largest + "\x85"}), "ends behind its storage"},
		{"shape", dictOf(pickled{shape: largest + "\x85", stride: "K\x00\x85"}), "repeats elements"},
		{"overflow", dictOf(pickled{shape: largest + largest + "\x86", stride: "K\x00K\x00\x86"}), "shape overflows"},
		{"negative shape", dictOf(pickled{shape: "J\xff\xff\xff\xff\x85"}), "dimension 0"},
		{"negative stride", dictOf(pickled{stride: "J\xff\xff\xff\xff\x85"}), "dimension 0"},
		{"negative offset", dictOf(pickled{offset: "J\xff\xff\xff\xff"}), "storage offset"},
		{"lengths", dictOf(pickled{stride: "K\x01K\x01\x86"}), "no tuples of one length"},
		{"no tuple", dictOf(pickled{shape: "}", stride: "}"}), "no tuples"},
		{"dims", dictOf(pickled{shape: "(" + strings.Repeat("K\x01", 7) + "t", stride: "(" + strings.Repeat("K\x01", 7) + "t"}), "up to 6"},
		{"numel", dictOf(pickled{numel: "K\x07"}), "7 x F32 has 24 bytes"},
		{"negative numel", dictOf(pickled{numel: "J\xff\xff\xff\xff"}), "no valid number of elements"},
		{"huge numel", dictOf(pickled{numel: long(math.MaxInt/2 + 7)}), "has 24 bytes"},
		{"half", dictOf(pickled{class: "HalfStorage"}), "6 x F16 has 24 bytes"},
		{"class", dictOf(pickled{class: "DoubleStorage"}), `global "torch.DoubleStorage" is not allowed`},
		{"storage key", dictOf(pickled{key: "../data.pkl"}), `storage "../data.pkl" is not in the archive`},
		{"global", "\x80\x02cos\nsystem\n" + unicode("x") + "\x85R.", `global "os.system" is not allowed`},
	} {
		f, err := OpenBytes("f.pth", buildPth(c.code))
		if c.want != "" {
			wantError(t, c.what, err, "f.pth: ", c.want)
		} else if err != nil {
			t.Error(err)
		} else {
			for _, x := range f.Tensors() {
				if b, err := x.Data(); err != nil || len(b) != x.Size() {
					t.Errorf("%s: %d bytes, %v", c.what, len(b), err)
				}
			}
		}
	}
}

// An error about a tensor's description names the byte of its name.
func TestTensorOffset(t *testing.T) {
	b := buildPth(dictOf(pickled{}, pickled{name: "second", offset: "J\xff\xff\xff\xff"}))
	at := strings.Index(string(b), unicode("second"))
	_, err := OpenBytes("f.pth", b)
	wantError(t, "second tensor", err, fmt.Sprintf(`f.pth: tensor "second": storage offset is no size (at byte %d)`, at))
}

// An error in the pickle names the byte of the file.
func TestPickleOffset(t *testing.T) {
	b := buildPth("\x80\x02}N.")
	_, err := OpenBytes("f.pth", b)
	at := strings.Index(string(b), "}N.") + 1
	var fe *formatError
	if wantError(t, "NONE", err, "opcode NONE"); err != nil {
		fe = err.(*formatError)
	}
	if fe.off != int64(at) {
		t.Errorf("byte %d, not %d", fe.off, at)
	}
}
