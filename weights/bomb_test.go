package weights

import (
	"fmt"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
)

// many concatenates f(0) to f(n-1).
func many(n int, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(f(i))
	}
	return b.String()
}

// flood is a .pth of 3 MB whose pickle repeats an opcode.
func flood(prefix, op, suffix string) []byte {
	return buildPth("\x80\x02" + prefix + strings.Repeat(op, 3<<20/len(op)) + suffix)
}

// manyTensors is a .pth with as many tensors as are allowed, in as few bytes
// as possible. After the first one the memo has what the code again needs for
// another: 0 the function, 1 the storage, 2 the offset, 3 the shape, 4 the
// hooks, 5 all arguments.
func manyTensors(offset, shape, stride, again string) []byte {
	code := "\x80\x02}" + unicode("first") + "ctorch._utils\n_rebuild_tensor_v2\nq\x00((" + unicode("storage") +
		"ctorch\nFloatStorage\n" + unicode("0") + unicode("cpu") + "K\x06tQq\x01" + offset + "q\x02" +
		shape + "q\x03" + stride + "\x89ccollections\nOrderedDict\n)Rq\x04tq\x05Rs"
	return buildPth(code + many(maxTensors-1, func(i int) string { return unicode(fmt.Sprintf("%x", i)) + again + "s" }) + ".")
}

// TestBombs opens files that are built to make a reader allocate: as many of
// the cheapest things as are allowed, and floods of single opcodes.
func TestBombs(t *testing.T) {
	m := meter(hostile.Allocated)
	const ones = "(K\x01K\x01K\x01K\x01K\x01" // five of six dimensions
	entries := []zipFile{{"m/data.pkl", dictOf(pickled{})}, {"m/data/0", string(make([]byte, 24))}}
	for i := range maxEntries - len(entries) {
		entries = append(entries, zipFile{fmt.Sprintf("%04x", i), ""})
	}
	for _, c := range []struct {
		what  string
		valid bool
		data  []byte
	}{
		{"pickle dicts", false, flood("", "}", ".")},
		{"pickle tuples", false, flood(")", "\x85", ".")},
		{"pickle empty tuples", false, flood("(", ")", "t.")},
		{"pickle marks", false, flood("", "(", ".")},
		{"pickle puts", false, flood(")", "r\x00\x00\x00\x00", ".")},
		{"pickle pairs", false, flood("}"+unicode("k")+"q\x00)s", "h\x00)s", ".")},
		{"pickle calls", false, flood("", "ccollections\nOrderedDict\n)R", ".")},
		{"pickle texts", false, flood("", unicode(""), ".")},
		{"pickle integers", false, flood("", "K\x00", ".")},
		{"pth same tensor", true, manyTensors("K\x00", "K\x01\x85", "h\x03", "h\x00h\x05R")},
		{"pth same strides", true, manyTensors("K\x02", ones+"K\x02t", ones+"K\x02tq\x06", "h\x00h\x05R")},
		{"pth tensors", true, manyTensors("K\x00", "K\x01\x85", "h\x03", "h\x00(h\x01h\x02h\x03h\x03\x89h\x04tR")},
		{"pth shapes", true, manyTensors("K\x00", "K\x01\x85", "h\x03", "h\x00(h\x01h\x02"+ones+"tq\x06h\x06\x89h\x04tR")},
		{"zip entries", true, buildZip(zipOptions{}, entries...)},
		{"safetensors tensors", true, buildSafetensors("{"+many(maxTensors-1, func(i int) string {
			return fmt.Sprintf(`"%x":{"dtype":"I8","shape":[],"data_offsets":[%d,%d]},`, i, i, i+1)
		})+member("z", "I8", []int{0}, []int{maxTensors - 1, maxTensors - 1})+"}", maxTensors-1)},
		{"safetensors escapes", true, buildSafetensors("{"+many(maxTensors-1, func(i int) string {
			return fmt.Sprintf(`"%x":{"dtyp\u0065":"I8","shape":[0],"data_offset\u0073":[0,0]},`, i)
		})+member("z", "I8", []int{0}, []int{0, 0})+"}", 0)},
		{"safetensors texts", true, buildSafetensors(`{"__metadata__":{`+many(maxTexts-1, func(i int) string {
			return fmt.Sprintf(`"%x":"",`, i)
		})+`"z":""}}`, 0)},
		{"safetensors long text", true, buildSafetensors(`{"__metadata__":{"a":"`+strings.Repeat("x", 3<<20)+`\n"}}`, 0)},
		{"safetensors long name", false, buildSafetensors(`{"`+strings.Repeat("x", 3<<20)+`\n":{}}`, 0)},
		{"safetensors braces", false, buildSafetensors("{"+strings.Repeat("{", 3<<20), 0)},
		{"gguf tensors", true, ggufBytes(magic, uint32(3), uint64(maxTensors), uint64(0), []byte(many(maxTensors, func(i int) string {
			return string(ggufBytes(fmt.Sprintf("%x", i), uint32(1), uint64(0), uint32(24), uint64(0)))
		})), 32)},
		{"gguf keys", true, ggufBytes(magic, uint32(3), uint64(0), uint64(maxKeys), []byte(many(maxKeys, func(i int) string {
			return string(ggufBytes(fmt.Sprintf("%x", i), uint32(0), byte(0)))
		})))},
		{"gguf texts", true, ggufBytes(magic, uint32(3), uint64(0), uint64(1), "k", uint32(9), uint32(8), uint64(1<<18), make([]byte, 8<<18))},
		{"gguf lists", true, ggufBytes(magic, uint32(3), uint64(0), uint64(1), "k", uint32(9), uint32(9), uint64(1<<18), make([]byte, 12<<18))},
	} {
		if ok := m.attack(t, c.what, c.data); ok != c.valid {
			t.Errorf("%s: accepted is %v", c.what, ok)
		}
	}
	index := `{"weight_map":{` + many(maxTensors-1, func(i int) string { return fmt.Sprintf(`"%x":"s",`, i) }) + `"z":"s"}}`
	if !m.attackIndex(t, "index", []byte(index)) {
		t.Error("the largest index is refused")
	}
}
