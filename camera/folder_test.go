package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// write puts a small grey picture at dir/name; the grey says which one it is.
func write(t *testing.T, dir, name string, grey uint8) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 8, 6))
	for i := range img.Pix {
		img.Pix[i] = grey
	}
	var b bytes.Buffer
	var err error
	if strings.HasSuffix(strings.ToLower(name), ".png") {
		err = png.Encode(&b, img)
	} else {
		err = jpeg.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

func decode(data []byte) (image.Image, error) {
	img, _, err := image.Decode(bytes.NewReader(data))
	return img, err
}

// play reads a view to its end: "seq:grey" of each frame.
func play(t *testing.T, v View) []string {
	t.Helper()
	var got []string
	for {
		f, err := v.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		g := color.GrayModel.Convert(f.Image.At(3, 3)).(color.Gray)
		got = append(got, fmt.Sprintf("%d:%d", f.Seq, g.Y))
		f.Release()
	}
}

func TestFolderLayouts(t *testing.T) {
	tests := []struct {
		name  string
		files string // name=grey
		want  map[string]string
	}{
		{"one view in natural order", "p10.png=3 p9.png=2 p1.jpg=1 notes.txt .hidden.png=9", map[string]string{"camera": "0:1 1:2 2:3"}},
		{"no numbers", "b.png=2 a.png=1", map[string]string{"camera": "0:1 1:2"}},
		{"sub-folders", "front/1.png=1 front/2.png=2 side/1.png=11 side/2.png=12", map[string]string{"front": "0:1 1:2", "side": "0:11 1:12"}},
		{"names before numbers", "side-01.png=11 front-1.png=1 front-2.png=2", map[string]string{"front": "0:1 1:2", "side": "0:11"}},
		{"numbers before names", "0001_side.png=11 0002_side.png=12 0002_front.png=2", map[string]string{"front": "1:2", "side": "0:11 1:12"}},
		{"a hole in one view", "a/1.png=1 a/2.png=2 a/3.png=3 b/1.png=11 b/3.png=13", map[string]string{"a": "0:1 1:2 2:3", "b": "0:11 2:13"}},
		{"nothing in common", "a/IMG_7.png=1 a/IMG_8.png=2 b/DSC3.png=11", map[string]string{"a": "0:1 1:2", "b": "0:11"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for f := range strings.FieldsSeq(tt.files) {
				name, grey, ok := strings.Cut(f, "=")
				if !ok {
					os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o666)
					continue
				}
				var g uint8
				fmt.Sscan(grey, &g)
				write(t, dir, name, g)
			}
			views, err := OpenFolder(dir, decode, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(views) != len(tt.want) {
				t.Errorf("%d views, want %d", len(views), len(tt.want))
			}
			if !slices.IsSortedFunc(views, func(a, b View) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("views not sorted: %v", views)
			}
			for _, v := range views {
				if got := strings.Join(play(t, v), " "); got != tt.want[v.Name] {
					t.Errorf("view %s: %s, want %s", v.Name, got, tt.want[v.Name])
				}
			}
		})
	}
}

func TestFolderTimesPairViews(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a/1.png", "a/2.png", "b/2.png"} {
		write(t, dir, n, 1)
	}
	views, err := OpenFolder(dir, decode, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := views[0].Next(t.Context())
	second, _ := views[0].Next(t.Context())
	other, _ := views[1].Next(t.Context())
	if !other.Time.Equal(second.Time) || second.Time.Sub(first.Time) != time.Second {
		t.Errorf("times %v %v and %v of the other view", first.Time, second.Time, other.Time)
	}
}

func TestFolderBadPictures(t *testing.T) {
	dir := t.TempDir()
	for i := 1; i <= 5; i++ {
		write(t, dir, fmt.Sprintf("cam%d.png", i), uint8(i))
	}
	data, err := os.ReadFile(filepath.Join(dir, "cam2.png"))
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "cam2.png"), data[:len(data)-20], 0o666)
	os.WriteFile(filepath.Join(dir, "cam3.png"), nil, 0o666)
	os.Remove(filepath.Join(dir, "cam4.png"))
	os.Mkdir(filepath.Join(dir, "cam4.png"), 0o777)

	var bad []error
	views, err := OpenFolder(dir, decode, &FolderOptions{Bad: func(err error) { bad = append(bad, err) }})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(play(t, views[0]), " "); got != "0:1 3:5" {
		t.Errorf("frames %s, want 0:1 3:5", got)
	}
	f := views[0].Source.(*Folder)
	if len(bad) != 2 || f.Bad() != 2 {
		t.Errorf("%d bad pictures reported, %d counted, want 2: %v", len(bad), f.Bad(), bad)
	}
	for _, err := range bad {
		if !strings.Contains(err.Error(), "cam") {
			t.Errorf("error does not name the file: %v", err)
		}
	}
}

func TestFolderRefusals(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenFolder(dir, decode, nil); err == nil || !strings.Contains(err.Error(), "no .png") {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := OpenFolder(filepath.Join(dir, "none"), decode, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	write(t, dir, "a.png", 1)
	write(t, dir, "sub/a.png", 1)
	if _, err := OpenFolder(dir, decode, nil); err == nil || !strings.Contains(err.Error(), "which are the views") {
		t.Errorf("mixed folder: %v", err)
	}
}

func TestFolderPaceAndCancel(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a1.png", 1)
	write(t, dir, "a2.png", 2)
	views, err := OpenFolder(dir, decode, &FolderOptions{Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := views[0].Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := views[0].Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second picture within its hour: %v", err)
	}
}

func TestNaturalCompare(t *testing.T) {
	sorted := []string{"", "1", "2", "10", "00000000000000000000000000011", "a", "a1", "a2b", "a10b", "b"}
	for i, a := range sorted {
		for j, b := range sorted {
			got, want := naturalCompare(a, b), 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got != want {
				t.Errorf("naturalCompare(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestReleaseOnce(t *testing.T) {
	n := 0
	NewFrame(nil, time.Time{}, 0, func() { n++ }).Release()
	Frame{}.Release()
	if n != 1 {
		t.Errorf("released %d times", n)
	}
}
