package weights

import (
	"errors"
	"strings"
)

// Open maps a file and lists its tensors. The format is found from the file's
// first bytes, never from its name. The index of a sharded safetensors set
// opens the whole set, from the index's folder.
func Open(path string) (*File, error) { return OpenAll(path) }

// OpenAll opens several files as one. A tensor name may occur only once. Shards of one
// set, NAME-00001-of-00003 and so on, must all be there.
//
// The half of a split export that holds the language model names its tensors
// without the prefix "rwkv."; so does a plain RWKV checkpoint. In such a file or set of
// shards, of format pth or safetensors and recognised by the tensor "emb.weight" beside
// tensors "blocks.*", all names get the prefix.
func OpenAll(paths ...string) (*File, error) {
	s, err := openSet(paths)
	if err != nil {
		return nil, err
	}
	var all []parsed
	for _, g := range s.groups {
		all = append(all, g.files...)
	}
	f, err := join(all)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	f.maps, f.size = s.maps, s.size
	return f, nil
}

// OpenEach opens files that need not go together, such as a language model and a vision
// tower whose names mean something only in the library that it comes from. Each is a File
// of its own, in order; shards of one set, and an index with its shards, are one.
func OpenEach(paths ...string) ([]*File, error) {
	s, err := openSet(paths)
	if err != nil {
		return nil, err
	}
	var all []*File
	for _, g := range s.groups {
		f, err := join(g.files)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		all = append(all, f)
	}
	for i, g := range s.groups {
		all[i].maps, all[i].size = g.maps, g.size
	}
	return all, nil
}

// OpenBytes is Open on a file in memory, such as an embedded model. The name is
// for errors only. The File borrows data.
func OpenBytes(name string, data []byte) (*File, error) {
	if isIndex(data) {
		return nil, badFile(name, 0, "an index of shards can only be opened by its path")
	}
	p, err := parse(name, data)
	if err != nil {
		return nil, err
	}
	files := []parsed{p}
	addPrefix(files)
	f, err := join(files)
	if err != nil {
		return nil, err
	}
	f.size = int64(len(data))
	return f, nil
}

// parse reads one file of any format but an index.
func parse(name string, data []byte) (parsed, error) {
	p := parsed{src: &source{name}}
	var err error
	switch {
	case isZip(data):
		p.format = "pth"
		p.tensors, err = parsePth(p.src, data)
	case isGGUF(data):
		p.format = "gguf"
		p.tensors, p.meta, err = parseGGUF(p.src, data)
	case isSafetensors(data):
		p.format = "safetensors"
		p.tensors, p.meta, err = parseSafetensors(p.src, data)
	case len(data) >= 2 && data[0] == 0x80 && data[1] <= 5:
		err = badFile(name, 0, "a bare pickle, from before PyTorch 1.6; load and save it again with a current PyTorch")
	case len(data) == 0:
		err = badFile(name, 0, "is empty")
	default:
		err = badFile(name, 0, "begins with %q: neither a .pth, safetensors nor GGUF file", data[:min(8, len(data))])
	}
	if err != nil {
		return parsed{}, err
	}
	return p, nil
}

// addPrefix restores the names of a bare language model; see OpenAll.
func addPrefix(files []parsed) {
	var emb, blocks bool
	for _, p := range files {
		if p.format == "gguf" {
			return
		}
		for i := range p.tensors {
			emb = emb || p.tensors[i].Name == "emb.weight"
			blocks = blocks || strings.HasPrefix(p.tensors[i].Name, "blocks.")
		}
	}
	if !emb || !blocks {
		return
	}
	for _, p := range files {
		for i := range p.tensors {
			p.tensors[i].Name = "rwkv." + p.tensors[i].Name
		}
	}
}
