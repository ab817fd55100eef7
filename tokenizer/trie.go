package tokenizer

import (
	"fmt"
	"strings"
)

// trie finds the longest token that begins a text.
//
// Nodes are numbered breadth first, so the children of node i are the nodes
// first[i] to first[i+1] and need no further links. A subtree that holds a single
// token is one node without children: what remains of that token is compared with
// the token itself. With 7 bytes a node the 65,529 tokens of RWKV World take
// 79,909 nodes, 560 KB.
type trie struct {
	label string   // label[i] leads from its parent to node i
	first []uint32 // one more than nodes
	token []uint16 // the token that ends at node i (or, without children, below it); 0: none
	root  [256]uint32
}

// maxNodes bounds the nodes for n tokens: long prefixes shared by few tokens are
// the only way to need more nodes than about two a token.
func maxNodes(n int) int { return 1<<16 + 2*n }

// build makes the trie of all tokens. Each node is a range of the tokens; a pass
// over it groups the range by the next byte.
func (t *trie) build(v *Vocabulary) error {
	ids := make([]uint16, 0, 2*v.count)
	for id := 1; id < v.Size(); id++ {
		if v.Token(id) != "" {
			ids = append(ids, uint16(id))
		}
	}
	n := len(ids)
	scratch := ids[n : 2*n]
	limit := maxNodes(n)
	guess := min(n+n/2+1, limit)
	label := make([]byte, 1, guess)
	t.token = make([]uint16, 1, guess)
	t.first = make([]uint32, 1, guess+1)

	// Until a node's turn comes, first holds its range: from<<16 | to.
	t.first[0] = uint32(n)
	for i, depth, level := 0, 0, 1; i < len(label); i++ {
		if i == level {
			depth, level = depth+1, len(label)
		}
		from, to := int(t.first[i]>>16), int(t.first[i]&0xffff)
		t.first[i] = uint32(len(label))
		if to-from == 1 {
			t.token[i] = ids[from]
			continue
		}
		group := ids[from:to]
		if err := t.endsHere(v, i, depth, &group); err != nil {
			return err
		}
		v.sortByByte(group, scratch, depth)
		for from = to - len(group); from < to; {
			c, end := v.byteAt(ids[from], depth), from+1
			for end < to && v.byteAt(ids[end], depth) == c {
				end++
			}
			if len(label) == limit {
				return fmt.Errorf("%d tokens share too long prefixes", n)
			}
			if i == 0 {
				t.root[c] = uint32(len(label))
			}
			label = append(label, c)
			t.token = append(t.token, 0)
			t.first = append(t.first, uint32(from)<<16|uint32(end))
			from = end
		}
	}
	t.first = append(t.first, uint32(len(label)))
	t.label = string(label)
	return nil
}

// endsHere gives node i the token of the group that is exactly depth bytes long, if
// there is one, and takes it out of the group.
func (t *trie) endsHere(v *Vocabulary, i, depth int, group *[]uint16) error {
	ids := *group
	for k, id := range ids {
		if len(v.Token(int(id))) != depth {
			continue
		}
		if t.token[i] != 0 {
			return fmt.Errorf("tokens %d and %d are the same", t.token[i], id)
		}
		t.token[i] = id
		copy(ids[1:], ids[:k])
		*group = ids[1:]
	}
	return nil
}

func (v *Vocabulary) byteAt(id uint16, depth int) byte {
	return v.blob[int(v.off[id])+depth]
}

// sortByByte sorts ids by the byte at depth, keeping the order of equals. Most
// groups are too small for counting.
func (v *Vocabulary) sortByByte(ids, scratch []uint16, depth int) {
	if len(ids) <= 24 {
		for i, id := range ids {
			c := v.byteAt(id, depth)
			for ; i > 0 && v.byteAt(ids[i-1], depth) > c; i-- {
				ids[i] = ids[i-1]
			}
			ids[i] = id
		}
		return
	}
	var at [256]uint16
	for _, id := range ids {
		at[v.byteAt(id, depth)]++
	}
	sum := uint16(0)
	for c, n := range at {
		at[c] = sum
		sum += n
	}
	for _, id := range ids {
		c := v.byteAt(id, depth)
		scratch[at[c]] = id
		at[c]++
	}
	copy(ids, scratch)
}

// match returns the longest token that begins s and its length, or 0, 0.
func (v *Vocabulary) match(s string) (id, n int) {
	t := &v.trie
	if s == "" {
		return 0, 0
	}
	i := t.root[s[0]]
	if i == 0 {
		return v.matchRoot(s)
	}
	for depth := 1; ; depth++ {
		from, to := t.first[i], t.first[i+1]
		here := int(t.token[i])
		if from == to {
			if token := v.Token(here); strings.HasPrefix(s, token) {
				return here, len(token)
			}
			return id, n
		}
		if here != 0 {
			id, n = here, depth
		}
		if depth == len(s) {
			return id, n
		}
		k := strings.IndexByte(t.label[from:to], s[depth])
		if k < 0 {
			return id, n
		}
		i = from + uint32(k)
	}
}

// matchRoot is match where no child of the root fits: a vocabulary of one token has
// only the root.
func (v *Vocabulary) matchRoot(s string) (id, n int) {
	if token := v.Token(int(v.trie.token[0])); token != "" && strings.HasPrefix(s, token) {
		return int(v.trie.token[0]), len(token)
	}
	return 0, 0
}
