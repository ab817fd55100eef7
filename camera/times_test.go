package camera

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// replay opens a folder and returns "view name:seconds since the start" of all frames in the
// order of their time.
func replay(t *testing.T, dir string, o *FolderOptions) ([]string, error) {
	t.Helper()
	views, err := OpenFolder(dir, decode, o)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	type shown struct {
		after time.Duration
		what  string
	}
	var all []shown
	for _, v := range views {
		for {
			f, err := v.Next(t.Context())
			if err != nil {
				break
			}
			if late := time.Since(f.Time); views[0].Name == v.Name && late != 0 {
				t.Errorf("%s comes %v late", v.Name, late)
			}
			all = append(all, shown{f.Time.Sub(start), fmt.Sprintf("%s:%v", v.Name, f.Time.Sub(start).Seconds())})
			f.Release()
		}
	}
	slices.SortStableFunc(all, func(a, b shown) int { return cmp.Compare(a.after, b.after) })
	var lines []string
	for _, s := range all {
		lines = append(lines, s.what)
	}
	return lines, nil
}

// TestReplay: pictures come when they were taken, as the folder says or their files do, the
// same each time.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	taken := time.Unix(1.7e9, 0)
	for i, name := range []string{"1.png", "2.png", "3.png", "4.png", "5.png"} {
		write(t, dir, "a/"+name, uint8(i))
		// The fourth was modified before the third, the fifth just after: a second each.
		at := taken.Add([]time.Duration{0, 1500, 9000, 2000, 2001}[i] * time.Millisecond)
		if err := os.Chtimes(filepath.Join(dir, "a", name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"1.png", "2.png", "3.png"} {
		write(t, dir, "b/"+name, uint8(i))
	}
	times := "# a clock of its own\n\n1.png 1700000000.25\n3.png\t2023-11-14T22:13:22Z\n 2.png 1700000003.5 \nother.png 7\n"
	if err := os.WriteFile(filepath.Join(dir, "b", TimesFile), []byte(times), 0o666); err != nil {
		t.Fatal(err)
	}
	want := []string{"a:0", "b:0.25", "a:1.5", "b:2", "b:3.5", "a:9", "a:10", "a:11"}
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			got, err := replay(t, dir, &FolderOptions{Real: true})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%v, %v, want %v", got, err, want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		got, err := replay(t, filepath.Join(dir, "a"), &FolderOptions{Real: true, Every: time.Minute})
		if want := []string{"camera:0", "camera:60", "camera:120", "camera:180", "camera:240"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("a picture a minute: %v, %v", got, err)
		}
	})
	views, err := OpenFolder(dir, decode, &FolderOptions{Real: true})
	if err != nil || fmt.Sprint(views[0].Source) != "5 pictures, at the times in times.txt" {
		t.Errorf("%v, %v", views, err)
	}
	write(t, dir, "b/4.png", 4)
	if _, err := OpenFolder(dir, decode, &FolderOptions{Real: true}); err == nil || !strings.Contains(err.Error(), "b/4.png is not in the times.txt") {
		t.Errorf("a picture without a time: %v", err)
	}
}

// A folder whose pictures are far apart is not taken for one that hangs.
func TestReplayIsPatient(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1.png", 1)
	write(t, dir, "2.png", 2)
	if err := os.WriteFile(filepath.Join(dir, TimesFile), []byte("1.png 0\n2.png 86400\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c, err := Open("dir:"+dir, &Options{Decode: decode})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		take(t, c, 2)
		if s := c.Status(); time.Since(begin) != 24*time.Hour || s.Faults != 0 || s.How != "2 pictures, at the times in times.txt" {
			t.Errorf("after %v: %+v", time.Since(begin), s)
		}
		c.Close()
	})
}

func TestParseTimesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"1.png":                          "line 1: want the name of a picture and its time",
		"1.png 1\n2.png -1":              `line 2: "-1" is no time`,
		"1.png NaN":                      `"NaN" is no time`,
		"1.png 1e300":                    `"1e300" is no time`,
		"1.png 1960-01-01T00:00:00Z":     "is no time",
		"1.png 9999-12-31T23:59:59Z":     "is no time",
		"1.png 1\n1.png 2":               `line 2: a second time for "1.png"`,
		strings.Repeat("x", 5000) + " 1": "after 0 lines",
	} {
		if _, err := parseTimes(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseTimes(f *testing.F) {
	f.Add("1.png 1700000000.25\n# x\n2 3.png\t2023-11-14T22:13:20.5Z\n")
	f.Add("a 1\na 2\n")
	f.Add("1.png -0")
	f.Fuzz(func(t *testing.T, text string) {
		given, err := parseTimes(strings.NewReader(text))
		if err != nil {
			if given != nil || len(err.Error()) > 400 {
				t.Errorf("%d times and the error %v", len(given), err)
			}
			return
		}
		if len(given) > strings.Count(text, "\n")+1 {
			t.Errorf("%d times in %q", len(given), text)
		}
		for name, at := range given {
			if name == "" || at < 0 {
				t.Errorf("%q at %v", name, at)
			}
		}
	})
}

// TestTimeline: views of a place that are opened one by one are played by one line of time,
// whichever is opened first: by the dates of their pictures, and those that say none by the
// clock that they share.
func TestTimeline(t *testing.T) {
	dir := t.TempDir()
	for name, seconds := range map[string][]float64{"a": {1.7e9 + 10, 1.7e9 + 12}, "b": {1.7e9 + 11, 1.7e9 + 12.02}, "c": {70, 71}, "d": {72.5}} {
		var times strings.Builder
		for i, s := range seconds {
			file := fmt.Sprintf("%d.png", i+1)
			write(t, dir, name+"/"+file, uint8(i))
			fmt.Fprintf(&times, "%s %.3f\n", file, s)
		}
		if err := os.WriteFile(filepath.Join(dir, name, TimesFile), []byte(times.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]time.Duration{
		"a": {0, 2 * time.Second}, "b": {time.Second, 2020 * time.Millisecond},
		"c": {0, time.Second}, "d": {2500 * time.Millisecond},
	}
	for _, order := range [][]string{{"a", "b", "c", "d"}, {"d", "b", "c", "a"}} {
		synctest.Test(t, func(t *testing.T) {
			line := new(Timeline)
			cams := map[string]*Camera{}
			for _, name := range order {
				c, err := Open("dir:"+filepath.Join(dir, name), &Options{Decode: decode, Timeline: line})
				if err != nil {
					t.Fatal(err)
				}
				cams[name] = c
			}
			var start time.Time
			for _, name := range order { // each later than the one before, when its pictures are over
				if start.IsZero() {
					start = time.Now()
				}
				var got []time.Duration
				for {
					f, err := cams[name].Next(t.Context())
					if err != nil {
						break
					}
					got = append(got, f.Time.Sub(start))
				}
				cams[name].Close()
				if !slices.Equal(got, want[name]) {
					t.Errorf("%v: %s at %v, want %v", order, name, got, want[name])
				}
			}
		})
	}
}
