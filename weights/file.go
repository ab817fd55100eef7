package weights

import (
	"errors"
	"slices"
	"strings"
)

// File is an open set of tensors, from one file or several. Reading it is safe
// for many goroutines; [File.Close] must come after all of them.
type File struct {
	format  string
	files   []string
	size    int64
	meta    Meta
	tensors []*Tensor
	sorted  []*Tensor // by name
	maps    []*mapping
}

// Format returns "pth", "safetensors" or "gguf"; for a merged set that of its
// first file.
func (f *File) Format() string { return f.format }

// Size returns the number of bytes in all files together.
func (f *File) Size() int64 { return f.size }

// Files returns the names of the files that hold the tensors, in order.
func (f *File) Files() []string { return f.files }

// Mapped reports whether the files are on disk, not in memory that [OpenBytes] was given.
func (f *File) Mapped() bool { return len(f.maps) > 0 }

// Meta returns the metadata in the file's order: GGUF's keys, or the texts of
// a safetensors file. A .pth has none. Of a key that several merged files have,
// the first counts.
func (f *File) Meta() Meta { return f.meta }

// Tensors returns all tensors in the file's order. The slice is the File's own.
func (f *File) Tensors() []*Tensor { return f.tensors }

// Lookup returns the tensor with this name, or nil.
func (f *File) Lookup(name string) *Tensor {
	i, ok := slices.BinarySearchFunc(f.sorted, name, func(t *Tensor, name string) int {
		return strings.Compare(t.Name, name)
	})
	if !ok {
		return nil
	}
	return f.sorted[i]
}

// Release gives the memory of mapped files back to the system. What is read of them later
// comes from the disk again, so that a pass over a large file need not have all of it in
// memory. (It is about whole files since the kernel maps more than what is touched.)
func (f *File) Release() {
	for _, m := range f.maps {
		m.release()
	}
}

// Close unmaps the files. All borrowed memory is gone then: see the package
// documentation. A second Close does nothing.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.maps {
		errs = append(errs, m.close())
	}
	f.maps = nil
	return errors.Join(errs...)
}

// parsed is what a format's reader makes of one file.
type parsed struct {
	src     *source
	format  string
	tensors []Tensor
	meta    Meta
}

// join makes a File of parsed files, in order. Names must be unique over all.
func join(files []parsed) (*File, error) {
	n := 0
	for _, p := range files {
		n += len(p.tensors)
	}
	if n > maxTensors {
		return nil, badFile(files[0].src.name, -1, "%d tensors in all files, more than %d", n, maxTensors)
	}
	f := &File{format: files[0].format, meta: files[0].meta, tensors: make([]*Tensor, 0, n)}
	for i, p := range files {
		f.files = append(f.files, p.src.name)
		for j := range p.tensors {
			f.tensors = append(f.tensors, &p.tensors[j])
		}
		if i > 0 {
			f.meta = f.meta.merge(p.meta)
		}
	}
	f.sorted = slices.Clone(f.tensors)
	slices.SortStableFunc(f.sorted, func(a, b *Tensor) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < n; i++ {
		if a, b := f.sorted[i-1], f.sorted[i]; a.Name == b.Name {
			if a.src != b.src {
				return nil, badItem(b.src.name, tensorItem(b.Name), b.off, "is in %s too", a.src.name)
			}
			return nil, badItem(b.src.name, tensorItem(b.Name), b.off, "is there twice")
		}
	}
	return f, nil
}
