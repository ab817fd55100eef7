package camera

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"time"
)

// folderKind plays a folder of pictures, which must be one view, or one picture: so many a
// second as is wished, or as they were taken.
func folderKind(path string, o *Options) (Kind, error) {
	if path == "" {
		return Kind{}, errors.New("want the path of a folder or a picture")
	}
	if o.Decode == nil {
		return Kind{}, errors.New("no decoder for pictures was given")
	}
	var bad atomic.Uint64
	fo := &FolderOptions{Real: true, Timeline: o.Timeline, Bad: func(error) { bad.Add(1) }}
	if o.Rate > 0 {
		fo.Every = time.Duration(float64(time.Second) / o.Rate)
	} else if o.Timeline != nil && !isPicture(path) {
		o.Timeline.join(path)
	}
	open := func(context.Context) (Source, error) {
		if isPicture(path) {
			if _, err := os.Stat(path); err != nil { // else it would end without a picture
				return nil, err
			}
			return &Folder{files: []folderFile{{path: path}}, start: time.Now(), how: "one picture", decode: o.Decode, bad: fo.Bad}, nil
		}
		views, err := OpenFolder(path, o.Decode, fo)
		if err != nil {
			return nil, err
		}
		if len(views) > 1 {
			return nil, fmt.Errorf("%s holds %d views, of which %s is the first: a view is one of them", path, len(views), views[0].Name)
		}
		return views[0].Source, nil
	}
	return Kind{Open: open, Bad: bad.Load, Patience: math.MaxInt64}, nil // pictures may be taken a week apart
}
