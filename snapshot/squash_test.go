//go:build linux

package snapshot_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A squashed layer makes of the base what the layers make of it one after the other.
func TestSquash(t *testing.T) {
	s := openStore(t)
	base := image(t, s, layerOf(t, "d 755 etc", "f 644 etc/passwd root", "d 755 old", "f 644 old/a 1", "f 644 old/b 2", "d 700 gone", "f 644 gone/x 1"))
	write := func(name, text string) func(string) {
		return func(root string) { must(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o644)) }
	}
	layers := base
	for _, f := range []func(root string){
		write("etc/new", "1"),
		func(root string) { must(t, os.Remove(filepath.Join(root, "etc/passwd"))) },
		func(root string) {
			must(t, os.RemoveAll(filepath.Join(root, "old")))
			must(t, os.Mkdir(filepath.Join(root, "old"), 0o711))
		},
		write("old/c", "3"),
		func(root string) { must(t, os.Link(filepath.Join(root, "old/c"), filepath.Join(root, "old/d"))) },
		func(root string) { must(t, os.RemoveAll(filepath.Join(root, "gone"))) },
		write("gone", "a file now"),
		func(root string) { must(t, os.Remove(filepath.Join(root, "gone"))) },
		func(root string) {
			must(t, os.Mkdir(filepath.Join(root, "gone"), 0o755))
			must(t, os.WriteFile(filepath.Join(root, "gone/y"), nil, 0o600))
		},
	} {
		l := change(t, s, layers, f)
		if len(layers)%2 == 0 {
			must(t, l.Keep())
			id, err := l.ContentID()
			must(t, err)
			l, err = s.Stored(t.Context(), id)
			must(t, err)
		}
		layers = append(slices.Clip(layers), l)
	}
	squashed, err := s.Squash(t.Context(), layers[1:])
	must(t, err)
	wantLines(t, mounted(t, s, append(base[:1:1], squashed)), mounted(t, s, layers))
	wantLines(t, entriesOf(t, squashed), []string{
		"d 755 etc", "f 644 etc/new 1", "w etc/passwd", "d 755 gone", "d 0 gone", "f 600 gone/y ", "d 711 old", "w old/a", "w old/b", "f 644 old/c 3", "h old/d old/c",
	})
}
