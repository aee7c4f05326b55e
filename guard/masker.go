package guard

// Masker takes secrets out of a stream that is shown while it is written. It passes on what it is given as
// soon as no secret can have begun in it.
type Masker struct {
	guard *Guard
	write func([]byte)
	found func(id string)
	held  []byte
}

// Masker returns a masker that passes on to write, and tells found of every secret that it has replaced. The
// guard must not be nil.
func (g *Guard) Masker(write func([]byte), found func(id string)) *Masker {
	return &Masker{guard: g, write: write, found: found}
}

// Write takes the next part of the stream.
func (m *Masker) Write(b []byte) {
	masked, ids := m.guard.masked(nil, append(m.held, b...))
	rest := m.guard.search.unfinished(masked)
	m.held = append([]byte(nil), masked[len(masked)-rest:]...)
	m.pass(masked[:len(masked)-rest], ids)
}

// Flush passes on what was held back. It is called when the stream has ended.
func (m *Masker) Flush() {
	held := m.held
	m.held = nil
	m.pass(held, nil)
}

func (m *Masker) pass(b []byte, ids []string) {
	for _, id := range ids {
		m.found(id)
	}
	if len(b) > 0 {
		m.write(b)
	}
}
