package sdk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// give writes an input as the host does.
func give(t testing.TB, data []byte) (ptr, size uint32) {
	t.Helper()
	ptr = alloc(uint32(len(data)))
	if ptr == 0 {
		t.Fatalf("no memory for %d bytes", len(data))
	}
	copy(in, data)
	return ptr, uint32(len(data))
}

// picture is a frame of width x height as the host writes it, with the given pixel offset.
func picture(index, width, height, offset int) []byte {
	b := make([]byte, offset, offset+3*width*height)
	for at, v := range map[int]int{0: offset, 4: index, 8: width, 12: height, 16: formatRGB8, 20: flagFull, 24: 640, 28: 480, 40: 4500, 48: 77, 56: offset} {
		binary.LittleEndian.PutUint32(b[at:], uint32(v))
	}
	binary.LittleEndian.PutUint64(b[32:], 1700000000123)
	for i := range 3 * width * height {
		b = append(b, byte(i))
	}
	return b
}

func TestStart(t *testing.T) {
	config := struct {
		Line  []float64
		Quiet int
	}{Quiet: 5}
	given := `{"abi":1,"scene":"yard","views":["gate","door"],"permissions":["on_frame"],"config":{"line":[0.5,1]},"later":true}`
	ptr, size := give(t, []byte(given))
	if r := OnStart(ptr, size, func(s *Start) error {
		if s.Scene != "yard" || !slices.Equal(s.Views, []string{"gate", "door"}) || !s.May("on_frame") || s.May("emit") {
			t.Errorf("start is %+v", s)
		}
		return s.Decode(&config)
	}); r != 0 || !slices.Equal(config.Line, []float64{0.5, 1}) || config.Quiet != 5 {
		t.Errorf("answer %d, config %+v", r, config)
	}

	for give, want := range map[string]string{
		``: "", `null`: "", `{}`: "",
		`{"lines":1}`:   `unknown field "lines"`,
		`{"quiet":"x"}`: "string where int belongs",
		`{} {}`:         "something follows",
		`{} }`:          "something follows",
		`[`:             "config: ",
	} {
		err := (&Start{Config: json.RawMessage(give)}).Decode(&config)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("config %q: %v, want %q", give, err, want)
		}
	}
	for _, bad := range []string{`{"abi":2}`, `{`, `{"abi":1,"views":5}`} {
		ptr, size := give(t, []byte(bad))
		if r := OnStart(ptr, size, func(*Start) error { t.Errorf("%s: handled", bad); return nil }); r != 1 {
			t.Errorf("%s: answer %d", bad, r)
		}
	}
	ptr, size = give(t, []byte(given))
	if r := OnStart(ptr, size, func(*Start) error { return errors.New("no") }); r != 1 {
		t.Errorf("a plugin that refuses: answer %d", r)
	}
	if r := OnStart(ptr+1, size, func(*Start) error { t.Error("handled what alloc did not give"); return nil }); r != 1 {
		t.Errorf("a wrong pointer: answer %d", r)
	}
}

func TestFrame(t *testing.T) {
	start = Start{Views: []string{"gate", "door"}}
	for _, offset := range []int{64, 80} {
		ptr, size := give(t, picture(1, 4, 3, offset))
		packed := OnFrame(ptr, size, func(f *Frame) Verdict {
			want := Frame{Index: 1, View: "door", Width: 4, Height: 3, Full: true, CameraWidth: 640, CameraHeight: 480,
				Time: time.UnixMilli(1700000000123), Clock: 4500 * time.Millisecond, Number: 77, Pixels: f.Pixels}
			if got, _ := json.Marshal(f); !bytes.Equal(got, mustJSON(t, &want)) {
				t.Errorf("frame %s, want %+v", got, want)
			}
			if r, g, b := f.RGB(3, 2); len(f.Pixels) != 36 || r != 33 || g != 34 || b != 35 {
				t.Errorf("%d pixel bytes, last %d %d %d", len(f.Pixels), r, g, b)
			}
			return Verdict{}
		})
		if packed != 0 {
			t.Errorf("the zero verdict is %#x", packed)
		}
	}
	good := picture(7, 4, 3, 64)
	var f Frame
	if err := f.decode(good, start.Views); err != nil || f.View != "" || f.Index != 7 {
		t.Errorf("a view without name: %+v, %v", f, err)
	}
	for want, at := range map[string]struct {
		offset int
		value  uint32
	}{
		"header of 63": {0, 63}, "format 2": {16, 2}, "0 x 3": {8, 0}, "4 x 0": {12, 0}, "4 x 4": {12, 4}, "at 65": {56, 65}, "at 63": {56, 63},
		"4294967295 x 3": {8, math.MaxUint32},
	} {
		bad := slices.Clone(good)
		binary.LittleEndian.PutUint32(bad[at.offset:], at.value)
		if err := f.decode(bad, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		ptr, size := give(t, bad)
		if r := OnFrame(ptr, size, func(*Frame) Verdict { t.Errorf("%s: handled", want); return Verdict{} }); r != 0 {
			t.Errorf("%s: answer %#x", want, r)
		}
	}
	if err := f.decode(good[:63], nil); err == nil {
		t.Error("63 bytes are a picture")
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestVerdict holds the layout of docs/plugins.md.
func TestVerdict(t *testing.T) {
	words := func(v Verdict) (words []float64) {
		data := v.append(nil)
		for i := 0; i < len(data); i += 4 {
			word := binary.LittleEndian.Uint32(data[i:])
			if i < 8 || i == 24 {
				words = append(words, float64(word))
			} else {
				words = append(words, float64(math.Float32frombits(word)))
			}
		}
		return words
	}
	if got, want := words(Verdict{Skip: true}), []float64{1, 0, 0, 0, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("skip: %v", got)
	}
	got := words(Verdict{Region: Rect{0, 0.25, 1, 0.75}, Masks: []Rect{{0.5, 0, 0.5, 0.125}}})
	if want := []float64{0, 1, 0, 0.25, 1, 0.75, 1, 0.5, 0, 0.5, 0.125}; !slices.Equal(got, want) {
		t.Errorf("region and mask: %v, want %v", got, want)
	}
	var many Verdict
	for i := range 18 {
		many.Masks = append(many.Masks, Rect{float32(i) / 32, 0.5, 1. / 32, 0.25})
	}
	got = words(many)
	if want := []float64{15. / 32, 0.5, 3. / 32, 0.25}; len(got) != 7+4*16 || got[6] != 16 || !slices.Equal(got[7+4*15:], want) {
		t.Errorf("18 masks: %v", got)
	}
}

func TestCaption(t *testing.T) {
	ptr, size := give(t, []byte(`{"scene":"yard","text":"a \"red\" ball","lang":"en","time":1700000000123,"clock":4500,"frame":77,"views":["gate"],"later":[1]}`))
	answered := func(a Answer) string {
		packed := OnCaption(ptr, size, func(c *Caption) Answer {
			if c.Scene != "yard" || c.Text != `a "red" ball` || c.Lang != "en" || !c.Time.Equal(time.UnixMilli(1700000000123)) ||
				c.Clock != 4500*time.Millisecond || c.Frame != 77 || !slices.Equal(c.Views, []string{"gate"}) {
				t.Errorf("caption %+v", c)
			}
			return a
		})
		if packed == 0 {
			return ""
		}
		if uint32(packed>>32) != address(out) || int(uint32(packed)) != len(out) {
			t.Errorf("answer %#x, out is %d bytes at %#x", packed, len(out), address(out))
		}
		return string(out)
	}
	for want, a := range map[string]Answer{
		``:                                   {},
		`{"action":"drop"}`:                  {Action: Drop, Text: "not replaced"},
		`{"action":"replace","text":"x"}`:    {Action: Replace, Text: "x"},
		`{"tags":["a","b"],"alert":"\"x\""}`: {Tags: []string{"a", "b"}, Alert: `"x"`},
	} {
		if got := answered(a); got != want {
			t.Errorf("%+v: %s, want %s", a, got, want)
		}
	}

	long := strings.Repeat("界", 3000)
	tags := slices.Repeat([]string{"short", long, ""}, 8)
	var got Answer
	if err := json.Unmarshal([]byte(answered(Answer{Action: Replace, Text: long, Tags: tags, Alert: long})), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Text) != MaxText-1 || len(got.Alert) != MaxAlert-1 || len(got.Tags) != MaxTags || got.Tags[0] != "short" || len(got.Tags[7]) != MaxTag-1 {
		t.Errorf("long: %d bytes of text, %d of alert, tags %q", len(got.Text), len(got.Alert), got.Tags)
	}
	if tags[1] != long {
		t.Error("the plugin's own tags were cut")
	}
	for _, bad := range []string{``, `{`, `{"time":"now"}`} {
		ptr, size := give(t, []byte(bad))
		if r := OnCaption(ptr, size, func(*Caption) Answer { t.Errorf("%q: handled", bad); return Answer{} }); r != 0 {
			t.Errorf("%q: answer %#x", bad, r)
		}
	}
}

func TestAlloc(t *testing.T) {
	if alloc(maxInput+1) != 0 || alloc(math.MaxUint32) != 0 {
		t.Error("memory for more than a plugin can have")
	}
	if alloc(0) == 0 {
		t.Error("an input of no bytes has no place")
	}
}

// TestFrameAllocs keeps the collector out of plugins that look at pictures.
func TestFrameAllocs(t *testing.T) {
	start = Start{Views: []string{"gate"}}
	masks := make([]Rect, 3)
	data := picture(0, 80, 60, 64)
	n := testing.AllocsPerRun(20, func() {
		ptr, size := give(t, data)
		OnFrame(ptr, size, func(f *Frame) Verdict { return Verdict{Region: Rect{0, 0, 1, 1}, Masks: masks} })
	})
	if n != 0 {
		t.Errorf("%v allocations a picture", n)
	}
}

func FuzzFrame(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		ptr, size := give(t, data)
		OnFrame(ptr, size, func(f *Frame) Verdict {
			if len(f.Pixels) != 3*f.Width*f.Height || f.Width == 0 || f.Height == 0 {
				t.Errorf("%d x %d of %d bytes", f.Width, f.Height, len(f.Pixels))
			}
			f.RGB(f.Width-1, f.Height-1)
			return Verdict{}
		})
	})
}

func FuzzCaption(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d), "\xcd")
	}
	f.Fuzz(func(t *testing.T, data []byte, tag string) {
		ptr, size := give(t, data)
		packed := OnCaption(ptr, size, func(c *Caption) Answer {
			return Answer{Action: Replace, Text: c.Text + c.Text, Tags: []string{tag, c.Lang}, Alert: c.Text}
		})
		if packed == 0 {
			return
		}
		var a Answer
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatal(err)
		}
		check := func(s string, limit int) {
			if !utf8.ValidString(s) || len(s) > limit {
				t.Errorf("%q is of more than %d bytes or not UTF-8", s, limit)
			}
		}
		check(a.Text, MaxText)
		check(a.Alert, MaxAlert)
		for _, s := range a.Tags { // those that are empty are left out
			check(s, MaxTag)
		}
	})
}
