package vlm

// Passes returns how many passes over the decoder's weights were made for
// answers, and how many tokens they fed.
func (m *Model) Passes() (passes, tokens uint64) {
	m.batcher.mu.Lock()
	defer m.batcher.mu.Unlock()
	return m.batcher.passes, m.batcher.tokens
}
