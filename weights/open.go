package weights

import (
	"errors"
	"path/filepath"
	"strings"
)

// Open maps a file and lists its tensors. The format is found from the file's
// first bytes, never from its name. The index of a sharded safetensors set
// opens the whole set, from the index's folder.
func Open(path string) (*File, error) { return OpenAll(path) }

// OpenAll opens several files as one. A tensor name may occur only once.
//
// The half of a split export that holds the language model names its tensors
// without the prefix "rwkv."; so does a plain RWKV checkpoint. In such a file,
// of format pth or safetensors and recognised by the tensor "emb.weight" beside
// tensors "blocks.*", all names get the prefix.
func OpenAll(paths ...string) (*File, error) {
	if len(paths) == 0 {
		return nil, errors.New("weights: no file to open")
	}
	var s set
	f, err := s.open(paths)
	if err != nil {
		for _, m := range s.maps {
			err = errors.Join(err, m.close())
		}
		return nil, err
	}
	f.maps, f.size = s.maps, s.size
	return f, nil
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
	f, err := join([]parsed{p})
	if err != nil {
		return nil, err
	}
	f.size = int64(len(data))
	return f, nil
}

// set collects the files of one OpenAll.
type set struct {
	files []parsed
	maps  []*mapping
	size  int64
}

func (s *set) open(paths []string) (*File, error) {
	for _, path := range paths {
		m, err := s.add(path)
		if err != nil {
			return nil, err
		}
		if isIndex(m.data) {
			err = s.addShards(path, m.data)
		} else {
			err = s.parse(path, m.data)
		}
		if err != nil {
			return nil, err
		}
	}
	return join(s.files)
}

func (s *set) add(path string) (*mapping, error) {
	m, err := openMapping(path)
	if err != nil {
		return nil, err
	}
	s.maps = append(s.maps, m)
	s.size += int64(len(m.data))
	return m, nil
}

func (s *set) parse(path string, data []byte) error {
	p, err := parse(path, data)
	if err == nil {
		s.files = append(s.files, p)
	}
	return err
}

// addShards opens the files that an index names and checks that each tensor is
// where the index says.
func (s *set) addShards(path string, data []byte) error {
	index, err := parseIndex(path, data)
	if err != nil {
		return err
	}
	first := len(s.files)
	for _, shard := range index.shards {
		name := filepath.Join(filepath.Dir(path), shard)
		m, err := s.add(name)
		if err != nil {
			return err
		}
		if isIndex(m.data) {
			return badFile(name, 0, "an index inside an index")
		}
		if err := s.parse(name, m.data); err != nil {
			return err
		}
	}
	where := make(map[string]*source)
	for _, p := range s.files[first:] {
		for i := range p.tensors {
			where[p.tensors[i].Name] = p.src
		}
	}
	for _, e := range index.entries {
		if src := s.files[first+e.shard].src; where[e.name] != src {
			return badItem(path, tensorItem(e.name), e.off, "is not in %s", src.name)
		}
	}
	return nil
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
	if p.format != "gguf" {
		addPrefix(p.tensors)
	}
	return p, nil
}

// addPrefix restores the names of a bare language model; see OpenAll.
func addPrefix(tensors []Tensor) {
	var emb, blocks bool
	for i := range tensors {
		emb = emb || tensors[i].Name == "emb.weight"
		blocks = blocks || strings.HasPrefix(tensors[i].Name, "blocks.")
	}
	if !emb || !blocks {
		return
	}
	for i := range tensors {
		tensors[i].Name = "rwkv." + tensors[i].Name
	}
}
