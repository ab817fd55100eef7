package weights

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// KV is one entry of a file's metadata.
type KV struct {
	Key   string
	Value Value
}

// Meta is metadata in the file's order. It is small; lookups are linear.
type Meta []KV

// Get returns the value of a key.
func (m Meta) Get(key string) (Value, bool) {
	for i := range m {
		if m[i].Key == key {
			return m[i].Value, true
		}
	}
	return Value{}, false
}

// Has reports whether the key is there.
func (m Meta) Has(key string) bool {
	_, ok := m.Get(key)
	return ok
}

// lookup decodes the value of a key with one of Value's accessors.
func lookup[T any](m Meta, key string, decode func(Value) (T, error)) (T, error) {
	v, ok := m.Get(key)
	if !ok {
		var zero T
		return zero, fmt.Errorf("%s: %w", keyItem(key), ErrNotFound)
	}
	x, err := decode(v)
	if err != nil {
		return x, badItem("", keyItem(key), -1, "%v", err)
	}
	return x, nil
}

// Uint32 returns an integer of any width that fits 32 bits without sign. Like
// its siblings it wraps [ErrNotFound] when the key is absent and [ErrFormat]
// when the value is of another kind.
func (m Meta) Uint32(key string) (uint32, error) { return lookup(m, key, Value.Uint32) }

// Bool returns a truth value.
func (m Meta) Bool(key string) (bool, error) { return lookup(m, key, Value.Bool) }

// Str returns a text.
func (m Meta) Str(key string) (string, error) { return lookup(m, key, Value.Str) }

// Strs returns an array of texts.
func (m Meta) Strs(key string) ([]string, error) { return lookup(m, key, Value.Strs) }

// Float returns a floating-point number of either size.
func (m Meta) Float(key string) (float64, error) { return lookup(m, key, Value.Float) }

// Float32s returns an array of F32 values.
func (m Meta) Float32s(key string) ([]float32, error) { return lookup(m, key, Value.Float32s) }

// merge appends the entries of n whose keys m has not.
func (m Meta) merge(n Meta) Meta {
	out := slices.Clone(m)
	for _, kv := range n {
		if !m.Has(kv.Key) {
			out = append(out, kv)
		}
	}
	return out
}

// checkUnique refuses a key that is there twice. offs are the bytes of the file at
// which the entries are; nil when there is no file.
func (m Meta) checkUnique(file string, offs []int64) error {
	order := make([]int32, len(m))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(strings.Compare(m[a].Key, m[b].Key), cmp.Compare(a, b))
	})
	for i := 1; i < len(order); i++ {
		if key := m[order[i]].Key; key == m[order[i-1]].Key {
			off := int64(-1)
			if offs != nil {
				off = offs[order[i]]
			}
			return badItem(file, keyItem(key), off, "is there twice")
		}
	}
	return nil
}
