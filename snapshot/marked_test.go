package snapshot

import (
	"io"
	"testing"
)

// A layer cannot hold a file that is called like a mark, whatever kind it is of.
func TestWriteMarked(t *testing.T) {
	for _, e := range []*Entry{
		{Path: "dir/.wh.file"},
		{Path: ".wh..wh..opq"},
		{Path: ".wh.dir", Kind: Directory},
		{Path: ".wh.link", Kind: Symlink, Link: "x"},
	} {
		err := WriteTar(io.Discard, func(yield func(*Entry, error) bool) { yield(e, nil) }, Unix)
		if want := e.Path + ": a file whose name begins with .wh. cannot be in a layer"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
