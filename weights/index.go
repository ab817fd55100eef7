package weights

import (
	"slices"
	"strings"
)

// shardIndex is the content of a model.safetensors.index.json.
type shardIndex struct {
	shards  []string // file names, in order of their first mention
	entries []indexEntry
}

// indexEntry says which shard holds a tensor.
type indexEntry struct {
	name  string
	shard int
	off   int64 // in the index, for errors
}

// isIndex reports whether a file is JSON. No other format begins so: as the
// length of a safetensors header, the first bytes of a JSON object are too large.
func isIndex(data []byte) bool {
	for i, c := range data {
		switch c {
		case ' ', '\t', '\n', '\r':
			if i > 64 {
				return false
			}
		case '{':
			return !isSafetensors(data)
		default:
			return false
		}
	}
	return false
}

// parseIndex reads the index of a sharded safetensors set. Shards must lie in
// the index's own folder: a path in an index is refused.
func parseIndex(file string, data []byte) (*shardIndex, error) {
	r := &jsonReader{file: file, data: data}
	const minEntry = len(`"a":"b",`)
	x := &shardIndex{entries: make([]indexEntry, 0, min(maxTensors, len(data)/minEntry))}
	found := false
	for r.open('{'); r.more('}'); {
		if string(r.key()) != "weight_map" {
			r.skip(0)
			continue
		}
		if found {
			r.fail("weight_map is there twice")
		}
		found = true
		for r.open('{'); r.more('}'); {
			at := int64(r.off)
			name := string(r.key())
			shard := string(r.str())
			if r.err != nil {
				break
			}
			if err := x.add(file, name, shard, at); err != nil {
				return nil, err
			}
		}
	}
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	if !found {
		return nil, badFile(file, 0, "JSON without the weight_map of a safetensors index")
	}
	if len(x.shards) == 0 {
		return nil, badFile(file, 0, "weight_map names no shard")
	}
	return x, nil
}

func (x *shardIndex) add(file, name, shard string, at int64) error {
	if len(x.entries) == maxTensors {
		return badFile(file, at, "more than %d tensors", maxTensors)
	}
	if shard == "" || shard == "." || shard == ".." || len(shard) > 255 || strings.ContainsAny(shard, "/\\\x00:") {
		return badItem(file, tensorItem(name), at, "shard %s is not a plain file name", quote(shard))
	}
	i := slices.Index(x.shards, shard)
	if i < 0 {
		if i = len(x.shards); i == maxShards {
			return badFile(file, at, "more than %d shards", maxShards)
		}
		x.shards = append(x.shards, shard)
	}
	x.entries = append(x.entries, indexEntry{name, i, at})
	return nil
}
