package vlm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/visualrwkv/edged/weights"
)

// Keys of docs/model-file.md that say what a model file was made of.
const (
	keySourceFiles  = "general.source.files"
	keySourceSizes  = "general.source.sizes"
	keySourceSHA256 = "general.source.sha256"
)

// Origin is a file that a model was made of.
type Origin struct {
	File   string `json:"file"` // without its folder
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// Origins returns what a model file was made of; nil where it does not say.
func Origins(md weights.Meta) ([]Origin, error) {
	if !md.Has(keySourceFiles) {
		return nil, nil
	}
	var p Problems
	r := &reader{md, &p}
	files, sizes, sums := r.texts(keySourceFiles, nil), r.texts(keySourceSizes, nil), r.texts(keySourceSHA256, nil)
	if p.N == 0 && (len(sizes) != len(files) || len(sums) != len(files)) {
		r.fail(keySourceFiles, "names %d files, but there are %d sizes and %d sums", len(files), len(sizes), len(sums))
	}
	if p.N > 0 {
		return nil, &p
	}
	list := make([]Origin, len(files))
	for i := range list {
		n, err := strconv.ParseInt(sizes[i], 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("key %q: %.32q is no size: %w", keySourceSizes, sizes[i], ErrConfig)
		}
		list[i] = Origin{files[i], n, sums[i]}
	}
	return list, nil
}

func originMeta(list []Origin) weights.Meta {
	if len(list) == 0 {
		return nil
	}
	var files, sizes, sums []string
	for _, o := range list {
		files, sizes, sums = append(files, o.File), append(sizes, strconv.FormatInt(o.Bytes, 10)), append(sums, o.SHA256)
	}
	return weights.Meta{
		{Key: keySourceFiles, Value: weights.Strings(files)},
		{Key: keySourceSizes, Value: weights.Strings(sizes)},
		{Key: keySourceSHA256, Value: weights.Strings(sums)},
	}
}

// origins reads the source's files for their sums, without mapping them. A file that says
// itself what it was made of stands for that: so quantising in two steps gives the file that
// one step gives. What is only in memory has no origin.
func (s *Source) origins(w *converter) ([]Origin, error) {
	var all []Origin
	var paths []string
	for _, f := range s.files {
		said, err := Origins(f.Meta())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Files()[0], err)
		}
		all = append(all, said...)
		if said != nil || !f.Mapped() {
			continue
		}
		for _, path := range f.Files() {
			info, err := os.Stat(path)
			if err != nil {
				return nil, err
			}
			paths = append(paths, path)
			w.total += info.Size()
		}
	}
	for _, path := range paths {
		o, err := digest(path, w.report)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// digest reads a file. report is called with bytes as they are read, and may end it.
func digest(path string, report func(n int64) error) (Origin, error) {
	f, err := os.Open(path)
	if err != nil {
		return Origin{}, err
	}
	defer f.Close()
	h, buf := sha256.New(), make([]byte, 1<<20)
	o := Origin{File: filepath.Base(path)}
	for {
		n, err := f.Read(buf)
		h.Write(buf[:n])
		o.Bytes += int64(n)
		if err := report(int64(n)); err != nil {
			return Origin{}, err
		}
		if err == io.EOF {
			o.SHA256 = hex.EncodeToString(h.Sum(nil))
			return o, nil
		}
		if err != nil {
			return Origin{}, err
		}
	}
}
