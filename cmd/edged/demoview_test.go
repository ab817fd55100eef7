package main

import (
	"flag"
	"image"
	"image/color"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; now:\n%s", name, got)
	}
}

func gradient(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(255 * x / w), uint8(255 * y / h), 128, 255})
		}
	}
	return img
}

func testPage() *page {
	return &page{
		title: "edged demo · demo-int8 · a simulated room, seed 1",
		ask:   `edged ask "what left the room?"`,
		views: []pageView{{"front", gradient(320, 240)}, {"side", gradient(320, 240)}},
		frame: 12, state: 117320, vision: 31.25, encode: 4.5, decode: 22,
		tally: &tally{scored: 3, exact: 2, right: 17, total: 18},
		captions: []*verdict{
			{frame: 3, text: "a red ball.", known: true, truth: "a red ball.", exact: true},
			{frame: 7, text: "a red ball moving left.", known: true, truth: "a red ball.", exact: false},
			{frame: 12, text: "a red person moving closer, behind it a white cone, a blue box entering; the green ball left.",
				known: true, truth: "a red person, behind it a white cone, a blue box entering; the green ball left."},
		},
	}
}

func TestPageGolden(t *testing.T) {
	long := testPage()
	long.ask = `/home/someone/src/edged/build/edged-linux-amd64 ask -socket /run/user/1000/edged-demo-12345.sock "what left the room?"`
	alarmed := testPage()
	alarmed.captions[2].tags = []string{"person"}
	alarmed.tell(&verdict{frame: 12, text: "somebody is near the front camera", tags: []string{"person", "near"}, alert: true})
	for _, size := range []struct {
		name string
		p    *page
		w, h int
	}{
		{"page_80x24.txt", testPage(), 80, 24}, {"page_120x40.txt", testPage(), 120, 40}, {"page_40x10.txt", testPage(), 40, 10},
		{"page_30x5.txt", testPage(), 30, 5}, {"page_long_80x24.txt", long, 80, 24}, {"page_alert_80x24.txt", alarmed, 80, 24},
	} {
		v := newVT(t, size.w, size.h)
		v.alternate = true
		s := &screen{rich: true}
		s.resize(size.w, size.h)
		size.p.draw(s)
		v.Write(s.flush())
		golden(t, size.name, v.String())
	}
}

func TestPageFitsAnySize(t *testing.T) {
	dw, dh := 7, 3
	if testing.Short() {
		dw, dh = 17, 7
	}
	for _, p := range []*page{testPage(), {tally: &tally{}, views: make([]pageView, 4)}} {
		for w := 1; w < 140; w += dw {
			for h := 1; h < 50; h += dh {
				v := newVT(t, w, h)
				v.alternate = true
				s := &screen{}
				s.resize(w, h)
				p.draw(s)
				v.Write(s.flush())
			}
		}
	}
}

func TestPageColors(t *testing.T) {
	s := &screen{rich: true}
	s.resize(120, 40)
	testPage().draw(s)
	v := newVT(t, 120, 40)
	v.alternate = true
	v.Write(s.flush())
	// The left picture begins in column 1 of the row below the names: red grows
	// to the right, green downwards.
	at := func(x, y int) cell { return v.cells[y*v.w+x] }
	first, right, below := at(1, rowsAbove), at(50, rowsAbove), at(1, rowsAbove+10)
	red := func(p paint) int { return int(p >> 16 & 255) }
	grn := func(p paint) int { return int(p >> 8 & 255) }
	if first.ch != halfBlock || red(first.fg) > 10 || grn(first.fg) > 10 {
		t.Errorf("first cell %c %x", first.ch, first.fg)
	}
	if red(right.fg) < 150 || grn(below.bg) < 80 || grn(below.bg) <= grn(below.fg) {
		t.Errorf("cells %x, %x over %x", right.fg, below.fg, below.bg)
	}
}

// TestFlush draws at random and checks that the terminal shows the cells after
// each flush, whatever it showed before.
func TestFlush(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &screen{rich: true}
	var v *vt
	texts := []string{"hello", "wide 日本 text", "a\u0301ccent", "ünïcödé ✓ ✗", "\x00\x1b"}
	for round := range 300 {
		if round%50 == 0 {
			w, h := 1+rng.IntN(40), 1+rng.IntN(12)
			s.resize(w, h)
			v = newVT(t, w, h)
			v.alternate = true
		}
		if rng.IntN(3) == 0 {
			s.clear()
		}
		for range rng.IntN(5) {
			x, y := rng.IntN(s.w), rng.IntN(s.h)
			fg := paint(0)
			if rng.IntN(2) == 0 {
				fg = rgb(uint8(rng.IntN(256)), 1, 2)
			}
			s.text(x, y, texts[rng.IntN(len(texts))], fg, uint8(rng.IntN(4)))
		}
		if rng.IntN(4) == 0 {
			s.picture(0, 0, s.w, s.h, gradient(30, 20))
		}
		v.Write(s.flush())
		for i := range s.cells {
			if s.cells[i] != v.cells[i] {
				t.Fatalf("round %d, cell %d: terminal %+v, want %+v", round, i, v.cells[i], s.cells[i])
			}
		}
		if out := string(s.flush()); out != "\x1b[?2026h\x1b[?2026l" {
			t.Fatalf("nothing changed, but %q was sent", out)
		}
	}
}

func TestXterm256(t *testing.T) {
	for _, tt := range []struct {
		p    paint
		want uint8
	}{
		{rgb(0, 0, 0), 16}, {rgb(255, 255, 255), 231}, {rgb(255, 0, 0), 196}, {rgb(95, 135, 175), 67},
		{rgb(128, 128, 128), 244}, {rgb(8, 8, 8), 232}, {rgb(238, 238, 238), 255},
	} {
		if got := xterm256(tt.p); got != tt.want {
			t.Errorf("xterm256(%x) = %d, want %d", tt.p, got, tt.want)
		}
	}
}

func TestTerminalChoice(t *testing.T) {
	env := func(s string) func(string) string {
		m := map[string]string{}
		for kv := range strings.FieldsSeq(s) {
			k, v, _ := strings.Cut(kv, "=")
			m[k] = v
		}
		return func(k string) string { return m[k] }
	}
	for s, want := range map[string]int{
		"TERM=xterm-256color COLORTERM=truecolor":            1 << 24,
		"TERM=xterm-256color":                                256,
		"TERM=xterm-direct":                                  1 << 24,
		"TERM=linux":                                         256,
		"TERM=dumb COLORTERM=truecolor":                      0,
		"COLORTERM=truecolor":                                0,
		"TERM=xterm-256color COLORTERM=truecolor NO_COLOR=1": 0,
	} {
		if got := colorsOf(env(s)); got != want {
			t.Errorf("%s: %d colours, want %d", s, got, want)
		}
	}
	for s, want := range map[string]bool{
		"": true, "LANG=C": true, "LANG=en_GB.UTF-8": true, "LANG=de_DE.utf8@euro": true,
		"LANG=en_GB.UTF-8 LC_ALL=de_DE.ISO-8859-1": false, "LC_CTYPE=ja_JP.EUC-JP": false,
	} {
		if got := isUTF8(env(s)); got != want {
			t.Errorf("%q: UTF-8 %v, want %v", s, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := strings.Join(wrap("a red person moving closer, behind it a white cone", 20), "|")
	if want := "a red person moving|closer, behind it a|white cone"; got != want {
		t.Errorf("wrap: %q, want %q", got, want)
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\nc\u200bü✓"); got != "a\ufffd[2Jb c\ufffdü✓" {
		t.Errorf("printable: %q", got)
	}
}

func TestReducedKeepsMeans(t *testing.T) {
	src := image.NewGray(image.Rect(5, 5, 405, 305))
	for y := 5; y < 305; y++ {
		for x := 5; x < 405; x++ {
			if (x+y)%2 == 0 {
				src.SetGray(x, y, color.Gray{200})
			}
		}
	}
	dst := reduced(nil, src, 100, 100)
	if dst.Rect.Dx() != 100 || dst.Rect.Dy() != 75 {
		t.Fatalf("size %v", dst.Rect)
	}
	if c := dst.RGBAAt(50, 30); c != (color.RGBA{100, 100, 100, 255}) {
		t.Errorf("mean %v", c)
	}
	if again := reduced(dst, src, 100, 100); again != dst {
		t.Error("memory not reused")
	}
	reduced(nil, image.NewGray(image.Rectangle{}), 10, 10)
}
