package camera

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// FolderOptions says how a folder of pictures is played. The zero value plays
// as fast as frames are asked for, and the frame times are a second apart.
type FolderOptions struct {
	// Every is the time between two pictures.
	Every time.Duration

	// Real plays pictures as they were taken, where Every is zero: see [TimesFile].
	// Those of several views that were opened together keep their distances.
	Real bool

	// Timeline is that of the other folders of the place, which have joined it; nil: of none.
	Timeline *Timeline

	// Bad is told of each picture that cannot be used, from the goroutine that
	// reads the view. Such a picture is counted and skipped.
	Bad func(error)
}

// Folder is a view whose pictures are files.
type Folder struct {
	files  []folderFile
	next   int
	how    string
	wait   bool      // until a picture's time
	start  time.Time // of the first picture of all views
	decode func(data []byte) (image.Image, error)
	bad    func(error)
	failed atomic.Uint64
}

// folderFile is one picture: at is its place in the order of all instants of
// the folder, the same in every view, and after when that is, since the start.
type folderFile struct {
	path  string
	at    int
	after time.Duration
}

// maxFile is far above any camera's picture and far below what would hurt.
const maxFile = 64 << 20

// OpenFolder finds the views of a folder of PNG and JPEG files, in one of
// these forms, and returns them sorted by name:
//
//   - one sub-folder per view: DIR/front/0001.jpg, DIR/side/0001.jpg;
//   - one folder, files named by view and number: DIR/front-0001.jpg,
//     DIR/side-0001.jpg, or DIR/0001-front.jpg, DIR/0001-side.jpg;
//   - anything else is one view, called "camera".
//
// Files are in natural order (2 before 10). Pictures of several views belong
// together when their names (or numbers) are equal, and by position when no
// name occurs in two views. Pictures are read as they are needed, and decode,
// which is given a whole file, makes them pictures; it decides what is too large.
func OpenFolder(dir string, decode func(data []byte) (image.Image, error), o *FolderOptions) ([]View, error) {
	if o == nil {
		o = &FolderOptions{}
	}
	sets, err := listViews(dir)
	if err != nil {
		return nil, err
	}
	if len(sets) == 0 {
		return nil, fmt.Errorf("%s: no .png, .jpg or .jpeg file", dir)
	}
	align(sets)
	every, how := cmp.Or(o.Every, time.Second), "as fast as they are used"
	if o.Every > 0 {
		how = fmt.Sprintf("one every %v", o.Every)
	}
	real := o.Real && o.Every == 0
	line := cmp.Or(o.Timeline, new(Timeline))
	start := line.begin()
	var first time.Duration
	if real {
		if how, first, err = setTimes(sets); err != nil {
			return nil, err
		}
		first = line.origin(first)
	}
	views := make([]View, len(sets))
	for i, s := range sets {
		f := &Folder{start: start, wait: real || o.Every > 0, decode: decode, bad: o.Bad}
		f.how = fmt.Sprintf("%d pictures, %s", len(s.pictures), how)
		for _, p := range s.pictures {
			after := time.Duration(p.at) * every
			if real {
				after = p.taken - first
			}
			f.files = append(f.files, folderFile{p.path, p.at, after})
		}
		views[i] = View{Name: s.name, Source: f}
	}
	return views, nil
}

// Len is the number of files of the view, good or bad.
func (f *Folder) Len() int { return len(f.files) }

// Bad is the number of pictures skipped so far because they could not be used.
func (f *Folder) Bad() uint64 { return f.failed.Load() }

// Next implements [Source]. Seq is the position of the picture among all
// instants of the folder; the pixels stay valid after Release.
func (f *Folder) Next(ctx context.Context) (Frame, error) {
	for f.next < len(f.files) {
		file := f.files[f.next]
		at := f.start.Add(file.after)
		if f.wait {
			if err := SleepUntil(ctx, at); err != nil {
				return Frame{}, err
			}
		} else if err := ctx.Err(); err != nil {
			return Frame{}, err
		}
		f.next++
		img, err := f.read(file.path)
		if err != nil {
			f.failed.Add(1)
			if f.bad != nil {
				f.bad(err)
			}
			continue
		}
		return NewFrame(img, at, uint64(file.at), nil), nil
	}
	return Frame{}, io.EOF
}

// String says how the pictures are played.
func (f *Folder) String() string { return f.how }

// Close implements [Source].
func (f *Folder) Close() error { return nil }

func (f *Folder) read(path string) (image.Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if st, err := file.Stat(); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d MiB", path, maxFile>>20)
	}
	img, err := f.decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return img, nil
}
