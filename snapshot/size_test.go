//go:build linux

package snapshot_test

import (
	"os"
	"strings"
	"testing"
)

// The files of a layer are counted where they are; one that is elsewhere counts with the size of its blob.
func TestMinSize(t *testing.T) { eachDriver(t, testMinSize) }

func testMinSize(t *testing.T, openStore opener) {
	s := openStore(t)
	text := strings.Repeat("a", 10_000)
	base := image(t, s, layerOf(t, "d 711 .", "f 644 big "+text))[0]
	blob, err := base.Size()
	must(t, err)
	got, err := base.MinSize()
	must(t, err)
	if got != blob {
		t.Errorf("before it is unpacked: got %d, want that of the blob, %d", got, blob)
	}
	_, err = base.FS()
	must(t, err)
	if got, err = base.MinSize(); err != nil || got != 10_000 {
		t.Errorf("got %d, %v, want 10000", got, err)
	}
	made := change(t, s, image(t, s, layerOf(t, "d 711 .")), func(root string) {
		must(t, os.WriteFile(root+"/new", []byte(text[:77]), 0o600))
	})
	if got, err = made.MinSize(); err != nil || got != 77 {
		t.Errorf("one that was made: got %d, %v, want 77", got, err)
	}
}
