package weights

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestSafetensors(t *testing.T) {
	header := `{"__metadata__":{"format":"pt","note":"gr\u00fcn \ud83d\ude00 \"\\\/\b\f\n\r\t"},` +
		member("b", "BF16", []int{2, 3}, []int{4, 16}) + " , " +
		member("s", "F32", []int{}, []int{0, 4}) + `,"\u0065":{"shape" : [0, 7], "more":{"x":[1,-2.5e3,null]},"dtype":"I64","data_offsets":[16,16]},` +
		member("u", "U8", []int{3}, []int{16, 19}) + "}   "
	b := buildSafetensors(header, 19)
	for i := range 19 {
		b[8+len(header)+i] = byte(i)
	}
	f, err := OpenBytes("f", b)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		name  string
		dtype DType
		shape int
		first int
		size  int
	}{{"b", BF16, 2, 4, 12}, {"s", F32, 0, 0, 4}, {"e", I64, 2, 16, 0}, {"u", U8, 1, 16, 3}} {
		x := f.Tensors()[i]
		if x.Name != want.name || x.Type != want.dtype || len(x.Shape) != want.shape || x.Size() != want.size ||
			x.Offset() != int64(8+len(header)+want.first) {
			t.Errorf("%+v is not %+v", x, want)
		}
		if data := x.Bytes(); want.size > 0 && int(data[0]) != want.first {
			t.Errorf("%s begins with %d", x.Name, data[0])
		}
	}
	if s, err := f.Meta().Str("note"); err != nil || s != "grün 😀 \"\\/\b\f\n\r\t" {
		t.Errorf("note %q, %v", s, err)
	}
}

func TestSafetensorsErrors(t *testing.T) {
	x := func(offsets string) string { return `{"x":{"dtype":"F32","shape":[2],"data_offsets":` + offsets + `}}` }
	for _, c := range []struct {
		header string
		data   int
		want   string
	}{
		{x("[0,8]"), 7, "data_offsets [0 8] in 7 bytes"},
		{x("[0,8]"), 9, "1 bytes behind the last tensor"},
		{x("[1,9]"), 9, `tensor "x": data begins here and the tensor before it ends`},
		{x("[8,0]"), 8, "data_offsets [8 0]"},
		{x("[0,4]"), 8, "4 bytes for F32 [2], which takes 8"},
		{x("[0]"), 8, "lacks"},
		{x("[0,4,8]"), 8, "more than 2 numbers"},
		{x("[0,-8]"), 8, "no integer"},
		{x("[0,08]"), 8, "no integer"},
		{x("[0,8.0]"), 8, `no ',' where`},
		{x("[0,9223372036854775808]"), 8, "number is too large"},
		{x("[0,99999999999999999999999999]"), 8, "number is too large"},
		{x("[0,8"), 8, "JSON"},
		{"{" + member("x", "F32", []int{1}, []int{0, 4}) + "," + member("x", "F32", []int{1}, []int{4, 8}) + "}", 8, `tensor "x": is there twice`},
		{"{" + member("x", "F32", []int{1}, []int{0, 4}) + "," + member("y", "F32", []int{1}, []int{2, 6}) + "}", 6, `tensor "y": data begins here`},
		{"{" + member("", "F32", []int{1}, []int{0, 4}) + "}", 4, "empty name"},
		{"{" + member("x", "F4", []int{1}, []int{0, 4}) + "}", 4, `element type "F4" is not known`},
		{"{" + member("x", "F32", []int{math.MaxInt, 4}, []int{0, 4}) + "}", 4, `tensor "x": shape`},
		{"{" + member("x", "F32", []int{0, math.MaxInt, 4}, []int{0, 0}) + "}", 0, `tensor "x": shape`},
		{"{" + member("x", "U8", []int{1, 1, 1, 1, 1, 1, 1, 1, 1}, []int{0, 1}) + "}", 1, "more than 6 numbers"},
		{`{"x":{"dtype":"F32","dtype":"F32"}}`, 0, "a field is there twice"},
		{`{"x":{"dtype":"F32","shape":[1]}}`, 0, "lacks"},
		{`{"x":{}}`, 0, "lacks"},
		{`{"x":[]}`, 0, `no '{' where`},
		{`{"__metadata__":{"a":"b","a":"c"}}`, 0, `key "a": is there twice (at byte 33)`},
		{`{"__metadata__":{"a":1}}`, 0, `no '"' where`},
		{`{"__metadata__":{},"__metadata__":{}}`, 0, "__metadata__ is there twice"},
		{`{"__metadata__":{"":"x"}}`, 0, "empty name"},
		{"{\"__metadata__\":{\"a\":\"\n\"}}", 0, "control character"},
		{"{\"__metadata__\":{\"a\":\"\\n\n\"}}", 0, "control character"},
		{"{\"__metadata__\":{\"a\":\"\xff\"}}", 0, "not UTF-8"},
		{"{\"__metadata__\":{\"a\":\"\\n\xff\"}}", 0, "not UTF-8"},
		{`{"__metadata__":{"a":"\x"}}`, 0, "unknown escape"},
		{`{"__metadata__":{"a":"\u12"}}`, 0, "escape is cut off"},
		{`{"__metadata__":{"a":"\u12g4"}}`, 0, "not hexadecimal"},
		{`{"__metadata__":{"a":"\ud800"}}`, 0, "half a surrogate pair"},
		{`{"__metadata__":{"a":"\ud800\u0041"}}`, 0, "half a surrogate pair"},
		{`{"__metadata__":{"a":"\ud800\ud80`, 0, "cut off"},
		{`{"__metadata__":{"a":"b\`, 0, "cut off"},
		{`{"__metadata__":{"a":"b`, 0, "cut off"},
		{`{"__metadata__":{"a":"b",}}`, 0, `no '"' where`},
		{`{}{}`, 0, "more behind the end"},
		{"{}\x00", 0, "more behind the end"},
		{`{"x":{"dtype":"F32","shape":[1],"a":` + strings.Repeat(`{"a":`, 20), 0, "nested more than 16"},
	} {
		_, err := OpenBytes("f.st", buildSafetensors(c.header, c.data))
		wantError(t, c.header, err, "f.st: ", c.want)
	}
	b := buildSafetensors("{}", 0)
	b[0] = 3
	_, err := OpenBytes("f", b)
	wantError(t, "length", err, "header of 3 bytes in a file of 10")
	b[6] = 1
	_, err = OpenBytes("f", b)
	wantError(t, "length", err, "neither")
}

// TestJSONStrings compares strings with encoding/json, which agrees wherever it
// does not repair.
func TestJSONStrings(t *testing.T) {
	for _, s := range []string{`""`, `"a"`, `"a\u00e4\"b\\"`, `"\\\\\""`, `"\ud83d\ude00"`, `"\uFFFD\u0000"`, `"a b/c"`, `"\/"`} {
		r := &jsonReader{data: []byte(s)}
		got := string(r.str())
		r.end()
		var want string
		if err := json.Unmarshal([]byte(s), &want); err != nil || r.err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q, %v", s, got, r.err, want, err)
		}
	}
}
