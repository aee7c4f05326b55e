//go:build linux

package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A layer is packed as one with the same content was packed before, with the times that its files had then; one that was
// asked for anew has its own.
func TestAnew(t *testing.T) {
	s := openStore(t)
	var digests []string
	for i, anew := range []bool{false, false, true} {
		l := change(t, s, nil, func(root string) {
			name := filepath.Join(root, "file")
			must(t, os.WriteFile(name, []byte("content"), 0o640))
			when := time.Unix(1700000000+int64(i), 0)
			must(t, os.Chtimes(name, when, when))
		})
		if anew {
			l.Anew()
		}
		d, err := l.Digest()
		must(t, err)
		digests = append(digests, d.String())
		content, err := l.ContentID()
		must(t, err)
		stored, err := s.Stored(t.Context(), content)
		must(t, err)
		if again, err := stored.Digest(); err != nil || again != d {
			t.Errorf("layer %d is %s, %v from the store and was %s", i, again, err, d)
		}
	}
	if digests[0] != digests[1] || digests[1] == digests[2] {
		t.Errorf("got %q", digests)
	}
}
