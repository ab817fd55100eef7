package weights

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
)

// set collects the files of one OpenAll or OpenEach.
type set struct {
	groups []*group
	maps   []*mapping
	size   int64
}

// group is a file, or the shards of one set.
type group struct {
	files []parsed
	maps  []*mapping
	size  int64

	stem   string // of shards that were given one by one: see shardOf
	shards int    // that the set has in all, 0 for what is no shard
	have   map[int]bool
}

func openSet(paths []string) (*set, error) {
	if len(paths) == 0 {
		return nil, errors.New("weights: no file to open")
	}
	s := &set{}
	if err := s.open(paths); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *set) close() error {
	var errs []error
	for _, m := range s.maps {
		errs = append(errs, m.close())
	}
	return errors.Join(errs...)
}

func (s *set) open(paths []string) error {
	for _, path := range paths {
		g := s.group(path)
		m, err := s.add(g, path)
		if err != nil {
			return err
		}
		if isIndex(m.data) {
			err = s.addShards(g, path, m.data)
		} else {
			err = g.parse(path, m.data)
		}
		if err != nil {
			return err
		}
	}
	for _, g := range s.groups {
		for i := 1; i <= g.shards; i++ {
			if !g.have[i] {
				return badFile(g.files[0].src.name, -1, "shard %d of its set of %d is missing", i, g.shards)
			}
		}
		addPrefix(g.files)
	}
	return nil
}

// group returns the group that a file belongs to.
func (s *set) group(path string) *group {
	stem, i, n, ok := shardOf(path)
	if !ok {
		s.groups = append(s.groups, &group{})
		return s.groups[len(s.groups)-1]
	}
	for _, g := range s.groups {
		if g.stem == stem && g.shards == n {
			g.have[i] = true
			return g
		}
	}
	g := &group{stem: stem, shards: n, have: map[int]bool{i: true}}
	s.groups = append(s.groups, g)
	return g
}

// shardOf takes apart a name such as "model-00002-of-00003.safetensors".
func shardOf(path string) (stem string, i, n int, ok bool) {
	base := strings.TrimSuffix(path, filepath.Ext(path))
	base, total, ok1 := cutLast(base, "-of-")
	stem, number, ok2 := cutLast(base, "-")
	i, err1 := strconv.Atoi(number)
	n, err2 := strconv.Atoi(total)
	return stem, i, n, ok1 && ok2 && err1 == nil && err2 == nil && 1 <= i && i <= n && n <= maxShards
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func (s *set) add(g *group, path string) (*mapping, error) {
	m, err := openMapping(path)
	if err != nil {
		return nil, err
	}
	s.maps, g.maps = append(s.maps, m), append(g.maps, m)
	s.size += int64(len(m.data))
	g.size += int64(len(m.data))
	return m, nil
}

func (g *group) parse(path string, data []byte) error {
	p, err := parse(path, data)
	if err == nil {
		g.files = append(g.files, p)
	}
	return err
}

// addShards opens the files that an index names and checks that each tensor is
// where the index says.
func (s *set) addShards(g *group, path string, data []byte) error {
	index, err := parseIndex(path, data)
	if err != nil {
		return err
	}
	for _, shard := range index.shards {
		name := filepath.Join(filepath.Dir(path), shard)
		m, err := s.add(g, name)
		if err != nil {
			return err
		}
		if isIndex(m.data) {
			return badFile(name, 0, "an index inside an index")
		}
		if err := g.parse(name, m.data); err != nil {
			return err
		}
	}
	where := make(map[string]*source)
	for _, p := range g.files {
		for i := range p.tensors {
			where[p.tensors[i].Name] = p.src
		}
	}
	for _, e := range index.entries {
		if src := g.files[e.shard].src; where[e.name] != src {
			return badItem(path, tensorItem(e.name), e.off, "is not in %s", src.name)
		}
	}
	return nil
}
