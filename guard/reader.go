package guard

import "io"

// Reader reads r and looks for secrets on the way. Once it has found one it calls found with the secret's name;
// an error of that is the error of reading, else it looks no further.
func (g *Guard) Reader(r io.ReadCloser, found func(id string) error) io.ReadCloser {
	if g == nil {
		return r
	}
	return &reader{ReadCloser: r, search: g.search, found: found}
}

type reader struct {
	io.ReadCloser
	search *search
	found  func(id string) error
	// tail is the end of what was read: a secret may have begun there.
	tail []byte
	// done: nothing is looked for any more.
	done bool
}

// Read implements io.Reader. What holds a secret is not given out.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.done {
		return n, err
	}
	if id := r.next(p[:n]); id != "" {
		r.done = true
		if err := r.found(id); err != nil {
			return 0, err
		}
	}
	return n, err
}

// next returns the secret that is in b, or that began before it.
func (r *reader) next(b []byte) string {
	keep := r.search.longest - 1
	seam := append(r.tail, b[:min(len(b), keep)]...)
	p, _ := r.search.find(seam)
	if p == nil && len(b) > keep {
		p, _ = r.search.find(b)
	}
	if p != nil {
		return p.id
	}
	if len(b) >= keep {
		r.tail = append(r.tail[:0], b[len(b)-keep:]...)
	} else {
		r.tail = append(r.tail[:0], seam[max(0, len(seam)-keep):]...)
	}
	return ""
}
