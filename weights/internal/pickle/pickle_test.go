package pickle

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// text is a BINUNICODE opcode.
func text(s string) string {
	n := len(s)
	return "X" + string([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}) + s
}

const (
	proto   = "\x80\x02"
	ordered = "ccollections\nOrderedDict\n)R"
)

func TestInts(t *testing.T) {
	for _, c := range []struct {
		code string
		want int64
	}{
		{"K\x00", 0}, {"K\xff", 255}, {"M\xff\xff", 65535}, {"J\xff\xff\xff\x7f", math.MaxInt32},
		{"J\x00\x00\x00\x80", math.MinInt32}, {"J\xff\xff\xff\xff", -1},
		{"\x8a\x00", 0}, {"\x8a\x01\x80", -128}, {"\x8a\x02\x80\x00", 128}, {"\x8a\x05\x00\x00\x00\x80\x00", 1 << 31},
		{"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", math.MaxInt64}, {"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80", math.MinInt64},
	} {
		v, err := Parse([]byte(proto + c.code + "."))
		if n, ok := v.Int(); err != nil || !ok || n != c.want {
			t.Errorf("%q = %d, %v; want %d", c.code, n, err, c.want)
		}
	}
}

// show formats a value so that a test can compare it.
func show(v Value) string {
	list := func(v Value) string {
		var parts []string
		for i := range v.Len() {
			parts = append(parts, show(v.At(i)))
		}
		return "(" + strings.Join(parts, " ") + ")"
	}
	switch v.Kind() {
	case Bool:
		return fmt.Sprint(v.r.payload() == 1)
	case Int:
		n, _ := v.Int()
		return fmt.Sprint(n)
	case Str:
		return fmt.Sprintf("%q", v.Str())
	case Global:
		return "<" + v.Global() + ">"
	case Tuple:
		return list(v)
	case Persistent:
		return "pid" + list(v.Args())
	case Object:
		return "call" + list(v.Args())
	case Dict:
		var parts []string
		for k, x := range v.Pairs() {
			parts = append(parts, show(k)+":"+show(x))
		}
		return fmt.Sprintf("{%d %s}", v.Len(), strings.Join(parts, " "))
	}
	return v.Kind().String()
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"\x88", "true"}, {"\x89", "false"}, {")", "()"}, {"}", "{0 }"}, {ordered, "{0 }"},
		{text("grün"), `"grün"`},
		{"K\x01\x85", "(1)"}, {"K\x01K\x02\x86", "(1 2)"}, {"K\x01K\x02K\x03\x87", "(1 2 3)"},
		{"(K\x01K\x02K\x03K\x04t", "(1 2 3 4)"}, {"(t", "()"}, {"((tK\x01t", "(() 1)"},
		{"}" + text("a") + "K\x01s", `{1 "a":1}`},
		{"}(" + text("a") + "K\x01" + text("b") + "K\x02u" + text("c") + "K\x03s", `{3 "a":1 "b":2 "c":3}`},
		{"}(u", "{0 }"},
		{"K\x05q\x00h\x00\x86", "(5 5)"}, {"K\x05r\x00\x00\x00\x00j\x00\x00\x00\x00\x86", "(5 5)"},
		{"K\x01\x85Q", "pid(1)"},
		{"ctorch\nHalfStorage\n", "<torch HalfStorage>"},
		{"ctorch._utils\n_rebuild_tensor_v2\nK\x07\x85R", "call(7)"},
		{ordered + "}" + text("_metadata") + ordered + "sb", "{0 }"},
	} {
		v, err := Parse([]byte(proto + c.code + "."))
		if err != nil || show(v) != c.want {
			t.Errorf("%q = %s, %v; want %s", c.code, show(v), err, c.want)
		}
	}
}

// A dictionary may hold itself; nothing here walks into values.
func TestCycle(t *testing.T) {
	v, err := Parse([]byte(proto + "}q\x00" + text("me") + "h\x00s."))
	if err != nil || v.Len() != 1 {
		t.Errorf("%d pairs, %v", v.Len(), err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		code, want string
		off        int
	}{
		{"", "ends without STOP", 0},
		{proto, "ends without STOP", 2},
		{proto + ".", "0 values", 2},
		{proto + ")).", "2 values", 4},
		{proto + ")(.", "1 marks", 4},
		{"\x80\x04)", "protocol 4", 0},
		{proto + proto, "protocol 2", 2},
		{proto + "N.", "opcode NONE is not allowed", 2},
		{proto + "cos\nsystem\n.", `global "os.system" is not allowed`, 2},
		{proto + "cposix\nsystem\n" + text("id") + "\x85R.", `"posix.system"`, 2},
		{proto + "c__builtin__\neval\n.", `"__builtin__.eval"`, 2},
		{proto + "ctorch\nFloatStorage", "global is cut off", 2},
		{proto + "c" + strings.Repeat("a", 300) + "\nb\n.", "longer than 256", 2},
		{proto + "\x8c\x01a.", "SHORT_BINUNICODE", 2},
		{proto + "\x93.", "STACK_GLOBAL", 2},
		{proto + "i__builtin__\neval\n.", "INST", 2},
		{proto + "\x81.", "NEWOBJ", 2},
		{proto + "\xff.", "unknown opcode 0xff", 2},
		{proto + "X\xff\xff\xff\xffa.", "text of 4294967295 bytes", 2},
		{proto + "X\x01\x00\x00\x00\xff.", "not UTF-8", 2},
		{proto + "X\x01", "cut off", 2},
		{proto + "J\x01\x02", "cut off", 2},
		{proto + "\x8a\x09123456789.", "9 bytes", 2},
		{proto + "\x8a\x04\x01.", "cut off", 2},
		{proto + "h\x00.", "memo 0 was never written", 2},
		{proto + "j\xff\xff\xff\xff.", "memo 4294967295", 2},
		{proto + ")r\xff\xff\xff\xff.", "memo 4294967295 in a pickle with 1", 3},
		{proto + "q\x00.", "empty stack", 2},
		{proto + ")(q\x00t.", "empty stack", 4},
		{proto + "t.", "without a MARK", 2},
		{proto + "u.", "without a MARK", 2},
		{proto + ")(\x85.", "takes 1 values from a stack of 0", 4},
		{proto + strings.Repeat("(", 17), "ends without", 19},
		{proto + strings.Repeat("(", 17) + ".", "open marks", 18},
		{proto + ")Q", "ends without", 4},
		{proto + "K\x01Q.", "persistent id is no tuple but int", 4},
		{proto + "))R.", "no global but tuple", 4},
		{proto + "ctorch\nHalfStorage\n)R.", "not callable", 22},
		{proto + "ctorch\nHalfStorage\nK\x01R.", "no tuple but int", 23},
		{proto + "ccollections\nOrderedDict\nK\x01\x85R.", "with arguments", 30},
		{proto + "})s.", "no dict", 4},
		{proto + ")))s.", "no dict", 5},
		{proto + "}()u.", "key without a value", 5},
		{proto + "}}" + text("__class__") + ")sb.", `attribute "__class__"`, 20},
		{proto + "}})K\x01sb.", `attribute ""`, 8},
		{proto + "})b.", "BUILD", 4},
		{proto + ")}b.", "BUILD", 4},
		// The arena of a short pickle has 1,024 words and half its length.
		{proto + strings.Repeat("}", 700) + ".", "more memory", -1},
		{proto + strings.Repeat("K\x01", maxStack+1) + ".", "values on the stack", -1},
	} {
		_, err := Parse([]byte(c.code))
		var pe *Error
		if !errors.As(err, &pe) || !strings.Contains(err.Error(), c.want) || c.off >= 0 && pe.Offset != c.off {
			t.Errorf("%.40q: %v; want %q at %d", c.code, err, c.want, c.off)
		}
	}
	if _, err := Parse(make([]byte, maxSize+1)); err == nil {
		t.Error("a pickle above the limit is accepted")
	}
}

func TestAtPanics(t *testing.T) {
	v, err := Parse([]byte(proto + "K\x01\x85."))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("At(1) of a tuple of one does not panic")
		}
	}()
	v.At(1)
}

// Accessors of the wrong kind give the zero value.
func TestWrongKind(t *testing.T) {
	for _, code := range []string{"K\x01", ")", "}", text("a"), "\x88", "K\x01\x85Q", "ctorch\nHalfStorage\n"} {
		v, err := Parse([]byte(proto + code + "."))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := v.Int(); ok != (v.Kind() == Int) {
			t.Errorf("Int of %s", v.Kind())
		}
		if v.Str() != nil && v.Kind() != Str || v.Global() != "" && v.Kind() != Global {
			t.Errorf("%s reads as something else", v.Kind())
		}
		if a := v.Args(); a.Kind() != Invalid && v.Kind() != Persistent || a.Len() != 0 && v.Kind() != Persistent {
			t.Errorf("%s has arguments", v.Kind())
		}
	}
}
