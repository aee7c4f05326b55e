//go:build linux

package ops

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// The digest of an unchanged context of 2,000 files of which a fifth is excluded, as every build needs it.
func BenchmarkContextScan(b *testing.B) {
	dir := b.TempDir()
	long := time.Now().Add(-time.Hour) // files that changed just now are read again
	for i := range 2000 {
		name := filepath.Join(dir, "context", fmt.Sprintf("d%d", i%50), fmt.Sprintf("f%d.go", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, fmt.Appendf(nil, "package p%d\n", i), 0o600); err != nil {
			b.Fatal(err)
		}
		if err := os.Chtimes(name, long, long); err != nil {
			b.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // so that the change of the times is over, too
	op := solver.Local{Name: "context", Dir: filepath.Join(dir, "context"), Exclude: []string{"d1*", "**/*.log"}}
	from := solver.NewVertex(solver.Vertex{Op: op})
	copied := solver.NewVertex(solver.Vertex{
		Op:     solver.Copy{Dest: "/", Sources: []solver.CopySource{{Input: 1, Path: "/", Contents: true}}},
		Inputs: []*solver.Vertex{solver.NewVertex(solver.Vertex{Op: solver.Scratch{}}), from},
	})
	tree := solver.Tree{Local: &solver.Files{Dir: op.Dir, Exclude: op.Exclude}}
	scan := func() {
		store, err := snapshot.Open(filepath.Join(dir, "store"), snapshot.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		w := &Worker{Store: store}
		if _, err := w.Digest(b.Context(), copied, 1, tree); err != nil {
			b.Fatal(err)
		}
	}
	scan() // which reads the files
	for b.Loop() {
		scan()
	}
}
