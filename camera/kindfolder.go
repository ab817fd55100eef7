package camera

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// folderKind plays a folder of pictures, which must be one view, or one picture.
func folderKind(path string, o *Options) (Kind, error) {
	if path == "" {
		return Kind{}, errors.New("want the path of a folder or a picture")
	}
	if o.Decode == nil {
		return Kind{}, errors.New("no decoder for pictures was given")
	}
	fo := &FolderOptions{}
	if o.Rate > 0 {
		fo.Every = time.Duration(float64(time.Second) / o.Rate)
	}
	return Kind{Open: func(context.Context) (Source, error) {
		if isPicture(path) {
			return &Folder{files: []folderFile{{path: path}}, start: time.Now(), decode: o.Decode, opts: *fo}, nil
		}
		views, err := OpenFolder(path, o.Decode, fo)
		if err != nil {
			return nil, err
		}
		if len(views) > 1 {
			return nil, fmt.Errorf("%s holds %d views, of which %s is the first: a view is one of them", path, len(views), views[0].Name)
		}
		return views[0].Source, nil
	}}, nil
}
