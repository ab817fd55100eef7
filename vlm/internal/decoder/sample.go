package decoder

import (
	"math"
	"math/rand/v2"
)

// Sampler chooses tokens from logits. It keeps its buffers, so that choosing
// does not allocate; one goroutine at a time.
type Sampler struct {
	temperature float64
	topP        float64
	rng         *rand.PCG
	heap        []candidate
}

type candidate struct {
	p  float64 // relative to the most likely token's 1
	id int
}

// NewSampler returns a sampler for a vocabulary of so many tokens. With
// temperature 0 it is greedy and the rest does not matter; the authors' code is
// always greedy. Otherwise it draws from the smallest set of most likely tokens
// whose probabilities sum to topP; 0 and 1 keep all. The same seed and logits
// give the same tokens.
func NewSampler(vocab int, temperature, topP float64, seed uint64) *Sampler {
	s := &Sampler{temperature: temperature, topP: topP}
	if temperature > 0 {
		s.rng = rand.NewPCG(seed, 0x9e3779b97f4a7c15)
		s.heap = make([]candidate, 0, vocab)
	}
	return s
}

// Next returns a token id. Of equally likely tokens a greedy sampler takes the
// lowest id. Logits that are not a number are never chosen; with no other left
// the result is 0.
func (s *Sampler) Next(logits []float32) int {
	best := Argmax(logits)
	if s.temperature <= 0 {
		return best
	}
	s.heap = s.heap[:0]
	top := float64(logits[best])
	var total float64
	for id, l := range logits {
		p := math.Exp((float64(l) - top) / s.temperature)
		if p > 0 { // false for NaN
			s.heap = append(s.heap, candidate{p, id})
			total += p
		}
	}
	if len(s.heap) == 0 {
		return best
	}
	u := float64(s.rng.Uint64()>>11) / (1 << 53)
	if s.topP > 0 && s.topP < 1 {
		return s.nucleus(total, u)
	}
	u *= total
	for _, c := range s.heap {
		if u -= c.p; u < 0 {
			return c.id
		}
	}
	return best
}

// nucleus takes candidates off a heap, most likely first, until they hold
// topP, and draws among those. It leaves them at the heap's end, in ascending
// order of likelihood.
func (s *Sampler) nucleus(total, u float64) int {
	h := s.heap
	for i := len(h)/2 - 1; i >= 0; i-- {
		sink(h, i)
	}
	var sum float64
	n := len(h)
	for n > 0 {
		sum += h[0].p
		n--
		h[0], h[n] = h[n], h[0]
		sink(h[:n], 0)
		if sum >= s.topP*total {
			break
		}
	}
	u *= sum
	for i := len(h) - 1; i > n; i-- {
		if u -= h[i].p; u < 0 {
			return h[i].id
		}
	}
	return h[n].id
}

func (a candidate) before(b candidate) bool {
	return a.p > b.p || a.p == b.p && a.id < b.id
}

func sink(h []candidate, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(h[i]) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// Argmax returns the index of the largest logit, the lowest index of equals.
// Values that are not a number are skipped.
func Argmax(logits []float32) int {
	best, at := float32(math.Inf(-1)), 0
	for i, l := range logits {
		if l > best {
			best, at = l, i
		}
	}
	return at
}
