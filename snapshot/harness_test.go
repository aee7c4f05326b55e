//go:build linux

package snapshot_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// The tests run inside the namespaces that the program uses, as root over the ids of an ordinary user.
func TestMain(m *testing.M) {
	if _, err := sandbox.Enter(sandbox.RungUserns, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// header is an entry of a layer as a literal: "d 755 path", "f 644 path content", "l path target",
// "h path target", "w path", "o path" (opaque), "p 600 path" (FIFO).
func layerOf(t testing.TB, lines ...string) v1.Layer {
	t.Helper()
	return blobOf(t, tarOf(t, lines...))
}

func blobOf(t testing.TB, archive []byte) v1.Layer {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func tarOf(t testing.TB, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, line := range lines {
		h, content := parseLine(t, line)
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parseLine(t testing.TB, line string) (*tar.Header, string) {
	t.Helper()
	h := &tar.Header{ModTime: time.Unix(1700000000, 0), Format: tar.FormatPAX}
	f := strings.SplitN(line, " ", 4)
	var mode int64
	switch f[0] {
	case "d", "f", "p":
		if _, err := fmt.Sscanf(f[1], "%o", &mode); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		h.Mode, h.Name = mode, f[2]
	default:
		h.Name = f[1]
	}
	content := ""
	switch f[0] {
	case "d":
		h.Typeflag = tar.TypeDir
	case "f":
		h.Typeflag = tar.TypeReg
		content = strings.Join(f[3:], "")
		h.Size = int64(len(content))
	case "p":
		h.Typeflag = tar.TypeFifo
	case "l":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f[2], 0o777
	case "h":
		h.Typeflag, h.Linkname = tar.TypeLink, f[2]
	case "w":
		h.Typeflag, h.Name = tar.TypeReg, filepath.Join(filepath.Dir(f[1]), ".wh."+filepath.Base(f[1]))
	case "o":
		h.Typeflag, h.Name = tar.TypeReg, filepath.Join(f[1], ".wh..wh..opq")
	}
	return h, content
}

// opener opens an empty store.
type opener func(t testing.TB) *snapshot.Store

// eachDriver runs a test with each way to make trees writable: the results must be the same.
func eachDriver(t *testing.T, test func(t *testing.T, openStore opener)) {
	t.Helper()
	for _, d := range []snapshot.Driver{snapshot.DriverOverlay, snapshot.DriverPlain} {
		t.Run(string(d), func(t *testing.T) {
			test(t, func(t testing.TB) *snapshot.Store { return openStoreIn(t, t.TempDir(), d) })
		})
	}
	t.Run("auto on overlayfs", func(t *testing.T) { test(t, openStoreOnOverlay) })
}

// openStoreOnOverlay opens a store where containers have theirs: upon an overlayfs, upon which no other can be
// mounted and whiteouts cannot be devices.
func openStoreOnOverlay(t testing.TB) *snapshot.Store {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	at, err := os.Open(dir) // its path may hold commas
	must(t, err)
	defer at.Close()
	merged := filepath.Join(dir, "merged")
	options := fmt.Sprintf("userxattr,lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", fmt.Sprintf("/proc/self/fd/%d", at.Fd()))
	must(t, unix.Mount("overlay", merged, "overlay", 0, options))
	t.Cleanup(func() { must(t, unix.Unmount(merged, unix.MNT_DETACH)) })
	s := openStoreIn(t, merged, snapshot.DriverAuto)
	choice, err := s.Driver()
	must(t, err)
	if choice.Driver != snapshot.DriverPlain || choice.Why == "" {
		t.Fatalf("the choice upon overlayfs is %+v, want %s and a reason", choice, snapshot.DriverPlain)
	}
	return s
}

// openStoreIn opens a store in an empty directory. In the end it must be sound.
func openStoreIn(t testing.TB, dir string, d snapshot.Driver) *snapshot.Store {
	t.Helper()
	must(t, os.Chmod(dir, 0o700))
	s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners(), Driver: d})
	must(t, err)
	t.Cleanup(func() {
		_, problems, err := s.Check(context.WithoutCancel(t.Context()), false)
		if len(problems) > 0 {
			t.Errorf("in the store is damaged: %+v", problems)
		}
		must(t, cmp(err, s.Close()))
	})
	return s
}

func openStore(t testing.TB) *snapshot.Store { return openStoreIn(t, t.TempDir(), snapshot.DriverAuto) }

// listing describes the tree that layers make in one line an entry, as find would.
func listing(t testing.TB, fsys snapshot.FS) []string {
	t.Helper()
	var lines []string
	for e, err := range snapshot.Walk(fsys, "") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Path == "" {
			continue
		}
		lines = append(lines, describe(t, e))
	}
	return lines
}

func describe(t testing.TB, e *snapshot.Entry) string {
	t.Helper()
	switch e.Kind { //nolint:exhaustive // the rest is below
	case snapshot.Directory:
		return fmt.Sprintf("d %o %s", e.Mode, e.Path)
	case snapshot.Symlink:
		return fmt.Sprintf("l %s %s", e.Path, e.Link)
	case snapshot.Hardlink:
		return fmt.Sprintf("h %s %s", e.Path, e.Link)
	case snapshot.Whiteout:
		return "w " + e.Path
	case snapshot.Fifo:
		return fmt.Sprintf("p %o %s", e.Mode, e.Path)
	case snapshot.Regular:
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("f %o %s %s", e.Mode, e.Path, content)
	default:
		return fmt.Sprintf("? %s", e.Path)
	}
}

func wantLines(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// mounted describes what overlayfs shows of the layers.
func mounted(t testing.TB, s *snapshot.Store, layers []*snapshot.Layer) []string {
	t.Helper()
	a, err := s.Prepare(layers)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Discard()
	return listing(t, snapshot.NewDir(a.Root()))
}

func image(t testing.TB, s *snapshot.Store, layers ...v1.Layer) []*snapshot.Layer {
	t.Helper()
	wrapped, err := s.Image(t.Context(), layers, snapshot.Unix)
	if err != nil {
		t.Fatal(err)
	}
	return wrapped
}

// entriesOf describes a layer.
func entriesOf(t testing.TB, l *snapshot.Layer) []string {
	t.Helper()
	r, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var lines []string
	for e, err := range snapshot.ReadTar(r, snapshot.Unix) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, describe(t, e))
	}
	return lines
}

// change runs f in a tree of layers and returns the layer of what it did.
func change(t testing.TB, s *snapshot.Store, layers []*snapshot.Layer, f func(root string)) *snapshot.Layer {
	t.Helper()
	a, err := s.Prepare(layers)
	if err != nil {
		t.Fatal(err)
	}
	f(fmt.Sprintf("/proc/self/fd/%d", a.Root().Fd()))
	l, err := a.Commit(t.Context(), snapshot.Unix, func(e snapshot.Entries) snapshot.Entries { return e })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cmp returns the first error.
func cmp(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// mounted2 describes the tree after do.
func mounted2(t testing.TB, s *snapshot.Store, layers []*snapshot.Layer, do func(string) error) []string {
	t.Helper()
	a, err := s.Prepare(layers)
	must(t, err)
	defer a.Discard()
	must(t, do(fmt.Sprintf("/proc/self/fd/%d", a.Root().Fd())))
	return listing(t, snapshot.NewDir(a.Root()))
}
