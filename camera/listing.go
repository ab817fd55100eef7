package camera

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// viewFiles is one view of a folder: its pictures in natural order.
type viewFiles struct {
	name     string
	pictures []picture
}

// picture is a file and the instant it belongs to: key while listing, at after
// align, taken after setTimes.
type picture struct {
	path, key string
	at        int
	taken     time.Duration
}

// listViews sorts the pictures below dir into views. Hidden files and folders
// are left out.
func listViews(dir string) ([]viewFiles, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sets []viewFiles
	var files []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err != nil {
			continue // a dangling link
		} else if !st.IsDir() {
			if isPicture(name) {
				files = append(files, name)
			}
			continue
		}
		sub, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		v := viewFiles{name: name}
		for _, e := range sub {
			if n := e.Name(); !strings.HasPrefix(n, ".") && !e.IsDir() && isPicture(n) {
				v.pictures = append(v.pictures, picture{path: filepath.Join(path, n), key: stem(n)})
			}
		}
		if len(v.pictures) > 0 {
			sets = append(sets, v)
		}
	}
	if len(sets) > 0 && len(files) > 0 {
		return nil, fmt.Errorf("%s: pictures both in the folder (%s) and in its sub-folder %s: which are the views?", dir, files[0], sets[0].name)
	}
	if len(sets) == 0 {
		sets = byName(dir, files)
	}
	for _, s := range sets {
		slices.SortFunc(s.pictures, func(a, b picture) int {
			return cmp.Or(naturalCompare(a.key, b.key), strings.Compare(a.path, b.path))
		})
	}
	slices.SortFunc(sets, func(a, b viewFiles) int { return naturalCompare(a.name, b.name) })
	return sets, nil
}

// byName splits the files of one folder into views by the letters beside the
// number in their names. One name that does not split makes all one view.
func byName(dir string, files []string) []viewFiles {
	views := map[string][]picture{}
	for _, f := range files {
		view, number, ok := splitName(stem(f))
		if !ok {
			views = nil
			break
		}
		views[view] = append(views[view], picture{path: filepath.Join(dir, f), key: number})
	}
	if len(views) > 1 {
		var sets []viewFiles
		for name, p := range views {
			sets = append(sets, viewFiles{name, p})
		}
		return sets
	}
	v := viewFiles{name: "camera"}
	for _, f := range files {
		v.pictures = append(v.pictures, picture{path: filepath.Join(dir, f), key: stem(f)})
	}
	if len(v.pictures) == 0 {
		return nil
	}
	return []viewFiles{v}
}

// splitName splits "front-0007" or "0007_front" into view and number; the
// number is the longest run of digits at one end.
func splitName(s string) (view, number string, ok bool) {
	const separators = "-_. "
	if v := strings.TrimRight(s, "0123456789"); v != s {
		if t := strings.TrimRight(v, separators); t != "" {
			return t, s[len(v):], true
		}
		return "", "", false
	}
	if v := strings.TrimLeft(s, "0123456789"); v != s {
		if t := strings.TrimLeft(v, separators); t != "" {
			return t, s[:len(s)-len(v)], true
		}
	}
	return "", "", false
}

// align numbers the instants: equal keys of several views are one instant. When
// no key is shared, the n-th pictures of the views belong together.
func align(sets []viewFiles) {
	count := map[string]int{}
	var keys []string
	shared := len(sets) == 1
	for _, s := range sets {
		for i, p := range s.pictures {
			k := canonical(p.key)
			if i > 0 && canonical(s.pictures[i-1].key) == k {
				continue // a.png and a.jpg
			}
			if count[k]++; count[k] == 1 {
				keys = append(keys, k)
			}
			shared = shared || count[k] > 1
		}
	}
	if !shared || len(sets) == 1 {
		for _, s := range sets {
			for i := range s.pictures {
				s.pictures[i].at = i
			}
		}
		return
	}
	slices.SortFunc(keys, naturalCompare)
	at := make(map[string]int, len(keys))
	for i, k := range keys {
		at[k] = i
	}
	for _, s := range sets {
		for i := range s.pictures {
			s.pictures[i].at = at[canonical(s.pictures[i].key)]
		}
	}
}

// canonical makes keys equal that are the same but for leading zeros.
func canonical(key string) string {
	var b strings.Builder
	for key != "" {
		n := digits(key)
		if n == 0 {
			b.WriteByte(key[0])
			key = key[1:]
			continue
		}
		b.WriteString(trimZeros(key[:n]))
		key = key[n:]
	}
	return b.String()
}

func isPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg":
		return true
	}
	return false
}

func stem(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }
