package sdk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/emulated"
	"github.com/visualrwkv/edged/internal/hostile"
)

// TestHeader has edged.h, built for this machine with sanitizers, read inputs of strangers and
// write answers.
func TestHeader(t *testing.T) {
	emulated.SkipProcess(t)
	if testing.Short() {
		t.Skip("it is C, and the same in all runs")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("gcc is not installed: make deps")
	}
	for _, name := range []string{"edged.h", "testdata/header.c"} { // or the go command does not know that the test reads them
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	h := header(filepath.Join(t.TempDir(), "header"))
	out, err := exec.Command(gcc, "-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Werror",
		"-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", string(h), "testdata/header.c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("JSON", h.testJSON)
	t.Run("Frame", h.testFrame)
	t.Run("Text", h.testText)
	t.Run("Answers", h.testAnswers)
}

// header is the program that testdata/header.c becomes.
type header string

// read has the program read inputs of a kind, and returns a line of each.
func (h header) read(t *testing.T, kind byte, inputs [][]byte) []string {
	t.Helper()
	var in, stderr bytes.Buffer
	for _, data := range inputs {
		in.WriteByte(kind)
		in.Write(binary.NativeEndian.AppendUint32(nil, uint32(len(data))))
		in.Write(data)
	}
	cmd := exec.Command(string(h))
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil {
		t.Fatalf("%v at input %q\n%s", err, inputs[min(len(lines)-1, len(inputs)-1)], stderr.Bytes())
	}
	return lines
}

var documents = []string{
	`{"abi":1,"scene":"yard","views":["gate","door"],"permissions":["on_frame","emit"],"config":{"line":[0.1,0.5,-0.9,5e-1],"hold":7.25e0,"gate":true,"x":null}}`,
	`{"scene":"yard","text":"a \"red\" ball\\\/ \u00e9\ud83d\ude00\ud800\udc \b\f\n\r\t","lang":"en","time":1700000000123,"clock":4500,"frame":77,"views":["gate"]}`,
	`{"text":"\u754c界\u0000x","\u0061":1,"a":2,"":{},"n":[0,-0,1e5,1E-3,0.30000000000000004,123456789012345678901234567890,1e308,1e-320,1e309,5e-324]}`,
	" [ ] ", `[[],{},[{}],"",false , true]`, `"x"`, `17`, ``, ` `, `[1,]`, `{"a"}`, `{"a":}`, `{,}`, `01`, `1.`, `.5`, `-`, `1e`, `tru`, `nulll`, `"`, `"\`, `"\x"`, `"\u12`,
	"\"\n\"", `[1 2]`, `{"a":1 "b":2}`, `{1:2}`, `[}`, `{]`, "\ufeff1", `+1`, `0x1`, `NaN`, `'a'`, `[1]]`, "\"\x7f\xc3\"",
	strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat("[", 33) + strings.Repeat("]", 33), strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33),
	strings.Repeat("[", 100000), "1" + strings.Repeat("0", 400), "0." + strings.Repeat("0", 400) + "1e400", "1e99999999999", "-1e-99999999999", "0e99999999999",
}

// testJSON holds the reader of edged.h against encoding/json.
func (h header) testJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	var inputs [][]byte
	for _, d := range documents {
		inputs = append(inputs, []byte(d))
	}
	for len(inputs) < 20000 {
		inputs = append(inputs, hostile.Damage(rng, inputs[rng.IntN(3)], `"`, `\`, `\u`, `\ud83d\ude00`, "{", "}", "[", "]", ",", ":", " ", "e", ".", "-", "0", "null", "\x00"))
	}
	lines := h.read(t, 'j', inputs)
	if len(lines) != len(inputs) {
		t.Fatalf("%d lines of %d inputs", len(lines), len(inputs))
	}
	valid := 0
	for i, data := range inputs {
		good := json.Valid(data) && depth(data) <= 32
		if good {
			valid++
		}
		if !good || lines[i] == `"none"` {
			if good != (lines[i] != `"none"`) {
				t.Errorf("%.300q: %.300s", data, lines[i])
			}
			continue
		}
		if err := same(decoder(data), decoder([]byte(lines[i]))); err != nil {
			t.Errorf("%.300q: %v in %.300s", data, err, lines[i])
		}
	}
	if valid < 1000 || valid > len(inputs)-1000 {
		t.Errorf("%d of %d inputs are valid: too one-sided", valid, len(inputs))
	}
}

func depth(data []byte) (most int) {
	deep := 0
	for d := decoder(data); ; {
		token, err := d.Token()
		switch {
		case err != nil:
			return most
		case token == json.Delim('['), token == json.Delim('{'):
			deep++
			most = max(most, deep)
		case token == json.Delim(']'), token == json.Delim('}'):
			deep--
		}
	}
}

func decoder(data []byte) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d
}

// same compares a document, value by value, with what testdata/header.c prints of it.
func same(doc, printed *json.Decoder) error {
	want, err := doc.Token()
	if err != nil {
		return err
	}
	switch want := want.(type) {
	case json.Delim:
		if err := expect(printed, json.Delim('{'), "list", json.Delim('[')); err != nil {
			return err
		}
		for doc.More() { // names and values in turn
			if err := same(doc, printed); err != nil {
				return err
			}
		}
		if _, err := doc.Token(); err != nil {
			return err
		}
		return expect(printed, json.Delim(']'), json.Delim('}'))
	case string:
		var got []string
		if err := printed.Decode(&got); err != nil {
			return err
		}
		raw, err := hex.DecodeString(got[0])
		before, _, _ := strings.Cut(want, "\x00")
		if err != nil || string([]rune(string(raw))) != want || got[1] != before {
			return fmt.Errorf("string %q is %q (%v)", want, got, err)
		}
		return nil
	case json.Number:
		got, err := printed.Token()
		if err != nil {
			return err
		}
		value, err := strconv.ParseFloat(want.String(), 64)
		if number, ok := got.(json.Number); ok && err == nil {
			f, err := number.Float64()
			exact := len(want) <= 15 && !strings.ContainsAny(want.String(), "eE")
			if err == nil && (f == value || !exact && math.Abs(f-value) <= 1e-13*math.Abs(value)+1e-323) {
				return nil
			}
		} else if errors.Is(err, strconv.ErrRange) && got == "too large" {
			return nil
		}
		return fmt.Errorf("number %s is %v", want, got)
	}
	return expect(printed, want)
}

func expect(d *json.Decoder, tokens ...json.Token) error {
	for _, want := range tokens {
		if got, err := d.Token(); err != nil || got != want {
			return fmt.Errorf("%v where %v belongs (%v)", got, want, err)
		}
	}
	return nil
}

// testFrame holds edged.h against this package.
func (h header) testFrame(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	inputs := [][]byte{picture(1, 4, 3, 64), picture(0, 80, 60, 80), {}}
	for len(inputs) < 3000 {
		inputs = append(inputs, hostile.Damage(rng, inputs[rng.IntN(2)], "\x40\x00\x00\x00", "\xff\xff\xff\xff", "\x00\x00\x00\x40"))
	}
	good := 0
	for i, line := range h.read(t, 'f', inputs) {
		want := "none"
		var f Frame
		if err := f.decode(inputs[i], nil); err == nil {
			good++
			sum, full := uint32(0), 0
			for _, p := range f.Pixels {
				sum = sum*31 + uint32(p)
			}
			if f.Full {
				full = 1
			}
			want = fmt.Sprintf("%d %d %d %d %d %d %d %d %d %d", f.Index, f.Width, f.Height, full, f.CameraWidth, f.CameraHeight,
				uint64(f.Time.UnixMilli()), binary.LittleEndian.Uint64(inputs[i][40:]), f.Number, sum)
		}
		if line != want {
			t.Errorf("%q: %s, want %s", inputs[i][:min(len(inputs[i]), 64)], line, want)
		}
	}
	if good < 300 || good > 2700 {
		t.Errorf("%d of 3000 are pictures: too one-sided", good)
	}
}

func (h header) testText(t *testing.T) {
	var inputs [][]byte
	for n := range 70 {
		inputs = append(inputs, bytes.Repeat([]byte("x"), n+1))
	}
	for i, line := range h.read(t, 't', inputs) {
		room, want, full := i+1, "", 0
		for _, part := range []string{"-9223372036854775808", strings.Repeat("x", room/4), "9223372036854775807", "0", "!"} {
			if full == 1 || len(want)+len(part) >= room {
				full = 1
				continue
			}
			want += part
		}
		if want := fmt.Sprintf("%d %d %s", len(want), full, want); line != want {
			t.Errorf("in %d bytes: %q, want %q", room, line, want)
		}
	}
}

func (h header) testAnswers(t *testing.T) {
	short, long := []byte("hello\n\"界\".\x00"), append(bytes.Repeat([]byte{1}, 3000), 0)
	lines := h.read(t, 'a', [][]byte{short, long})
	alert, ok := strings.CutPrefix(lines[0], "emit ")
	var a Alert
	if err := json.Unmarshal([]byte(alert), &a); !ok || err != nil || a.Text != "hello\n\"界\"." || fmt.Sprint(a.Tags) != `[a "b"]` || a.View != "gate" {
		t.Errorf("alert %q: %+v, %v", lines[0], a, err)
	}
	answer := `{"tags":["a","b","c","d","e","f","g","h"],"action":"replace","text":"hello\n\"界\"."}`
	if n, _ := strconv.ParseUint(lines[1], 10, 32); int(n) != len(answer)+len(`\u000a`)-len(`\n`) {
		t.Errorf("the answer has %s bytes, want those of %s", lines[1], answer)
	}
	if want := "log 3 an alert is too long and was not made"; lines[2] != want {
		t.Errorf("a long alert: %q, want %q", lines[2], want)
	}
	if want := "log 3 an answer is too long: the caption passes"; len(lines) != 5 || lines[3] != want || lines[4] != "0" {
		t.Errorf("a long answer: %q, want %q", lines[3:], want)
	}
}
