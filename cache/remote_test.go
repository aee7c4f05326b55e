//go:build linux

package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/httpclient"
	"github.com/seed-298d225e/builder/registry"
)

// both is a shared cache that can be read and written.
type both interface {
	Remote
	Writer
	Mounts
}

// contract is what every kind of shared cache promises. open opens the same cache anew; damage damages
// all blobs of it.
func contract(t *testing.T, open func() both, damage func(t *testing.T)) {
	t.Helper()
	blob := packedLayer(t, "some content")
	d := documentFor(t, blob, "op", "a", "b")
	wantMissing(t, open(), d)
	if err := open().Share(t.Context(), d, blob); err != nil {
		t.Fatal(err)
	}
	wantShared(t, open(), d, "some content")
	if err := open().Share(t.Context(), d, blob); err != nil {
		t.Errorf("sharing the same once more: %v", err)
	}
	wantMany(t, open)
	wantMount(t, open)
	damage(t)
	c := open()
	found, err := c.Find(t.Context(), id("a"))
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() (io.ReadCloser, error){
		"packed": c.Blob(t.Context(), found).Compressed, "unpacked": c.Blob(t.Context(), found).Uncompressed,
	} {
		if err := drain(read); err == nil {
			t.Errorf("a damaged layer was read %s", name)
		}
	}
}

// wantReplaced shares a result that was made anew: what was there before does not count any more.
func wantReplaced(t *testing.T, open func() both) {
	t.Helper()
	for n, replaces := range []bool{false, false, true} {
		blob := packedLayer(t, fmt.Sprint("made ", n))
		d := documentFor(t, blob, "op of what is made", "made")
		d.Content, d.replaces = id(fmt.Sprint("made ", n)), replaces
		if err := open().Share(t.Context(), d, blob); err != nil {
			t.Fatal(err)
		}
		if got, err := open().Find(t.Context(), id("made")); err != nil || (got.Digest == d.Digest) != (n == 0 || replaces) {
			t.Errorf("sharing number %d, which replaces: %t; got %v, %v", n, replaces, got.Digest, err)
		}
	}
}

func wantMissing(t *testing.T, c both, d Document) {
	t.Helper()
	if _, err := c.Find(t.Context(), id("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("finding what is not there: %v", err)
	}
	if there, err := c.Has(t.Context(), id("a")); there || err != nil {
		t.Errorf("having what is not there: %t, %v", there, err)
	}
	if known, err := c.Known(t.Context(), hashOf(d.Op)); known || err != nil {
		t.Errorf("knowing what is not there: %t, %v", known, err)
	}
}

func wantShared(t *testing.T, c both, want Document, content string) {
	t.Helper()
	for _, key := range want.Keys {
		got, err := c.Find(t.Context(), hashOf(key))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if there, err := c.Has(t.Context(), hashOf(key)); !there || err != nil {
			t.Errorf("having what is there: %t, %v", there, err)
		}
	}
	if known, err := c.Known(t.Context(), hashOf(want.Op)); !known || err != nil {
		t.Errorf("knowing what is there: %t, %v", known, err)
	}
	r, err := c.Blob(t.Context(), want).Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != content {
		t.Errorf("the layer holds %q, %v", got, err)
	}
}

// wantMany lets several writers share at once, of which none may be lost.
func wantMany(t *testing.T, open func() both) {
	t.Helper()
	const writers = 6
	var g errgroup.Group
	for n := range writers {
		blob := packedLayer(t, fmt.Sprint("content ", n))
		d := documentFor(t, blob, "op", fmt.Sprint("many ", n))
		g.Go(func() error { return open().Share(t.Context(), d, blob) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	c := open()
	for n := range writers {
		if _, err := c.Find(t.Context(), id(fmt.Sprint("many ", n))); err != nil {
			t.Errorf("what writer %d has shared: %v", n, err)
		}
	}
}

// wantMount shares a cache directory twice, of which the second content counts.
func wantMount(t *testing.T, open func() both) {
	t.Helper()
	if _, err := open().FindMount(t.Context(), id("mount")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("finding a directory that is not there: %v", err)
	}
	for _, content := range []string{"before", "after"} {
		blob := packedLayer(t, content)
		want := documentFor(t, blob, "mount", "mount")
		if err := open().ShareMount(t.Context(), want, blob); err != nil {
			t.Fatal(err)
		}
		got, err := open().FindMount(t.Context(), id("mount"))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", content, got, want)
		}
	}
}

func drain(open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

func hashOf(hex string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: hex} }

func packedLayer(t *testing.T, content string) v1.Layer {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func documentFor(t *testing.T, l v1.Layer, op string, keys ...string) Document {
	t.Helper()
	d := Document{
		Version: documentVersion, Op: id(op).Hex, Inputs: []string{id("below").Hex, ""},
		Traits: Traits{Content: id("content"), Created: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)},
	}
	for _, k := range keys {
		d.Keys = append(d.Keys, id(k).Hex)
	}
	var err [3]error
	d.Digest, err[0] = l.Digest()
	d.DiffID, err[1] = l.DiffID()
	d.Size, err[2] = l.Size()
	if e := errors.Join(err[:]...); e != nil {
		t.Fatal(e)
	}
	return d
}

// damageFiles changes a byte of every file in a directory that is no JSON.
func damageFiles(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("there is nothing to damage", err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(content, []byte("{")) {
			continue
		}
		content[len(content)/2] ^= 1
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRegistry(t *testing.T) {
	for _, name := range []string{"cache", "team/app:ci"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h, err := registry.Handler(dir)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(h)
			defer server.Close()
			open := func() both {
				client, err := registry.New(registry.Config{Retry: httpclient.Retry{Min: time.Millisecond, Max: time.Millisecond}})
				if err != nil {
					t.Fatal(err)
				}
				c, err := NewRegistry(client, strings.TrimPrefix(server.URL, "http://")+"/"+name)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			wantReplaced(t, open)
			contract(t, open, func(t *testing.T) { damageFiles(t, filepath.Join(dir, "blobs", "sha256")) })
		})
	}
}

// A tag that cannot be changed, as those of many registries, is left as it is.
func TestRegistryWithImmutableTags(t *testing.T) {
	h, err := registry.Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var taken sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			if _, ok := taken.LoadOrStore(r.URL.Path, true); ok {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	client, err := registry.New(registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewRegistry(client, strings.TrimPrefix(server.URL, "http://")+"/cache")
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"one", "two"} {
		blob := packedLayer(t, content)
		d := documentFor(t, blob, "op", content)
		for range 2 {
			if err := c.Share(t.Context(), d, blob); err != nil {
				t.Fatal(err)
			}
		}
		wantShared(t, c, d, content)
	}
}

func TestLongPrefix(t *testing.T) {
	_, err := NewRegistry(nil, "example.com/cache:"+strings.Repeat("x", maxPrefix+1))
	if err == nil {
		t.Error("a prefix with which no tag fits was taken")
	}
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	replaced := t.TempDir()
	wantReplaced(t, func() both { return NewLayout(replaced) })
	contract(t, func() both { return NewLayout(dir) }, func(t *testing.T) { damageFiles(t, filepath.Join(dir, "blobs", "sha256")) })
}

// What a document says is not believed in more than it can mean.
func TestBadDocuments(t *testing.T) {
	blob := packedLayer(t, "x")
	for name, spoil := range map[string]func(*Document){
		"another version":    func(d *Document) { d.Version++ },
		"another key":        func(d *Document) { d.Keys = []string{id("other").Hex} },
		"no size":            func(d *Document) { d.Size = 0 },
		"too many inputs":    func(d *Document) { d.Inputs = make([]string, maxInputs+1) },
		"an input of a path": func(d *Document) { d.Inputs[0] = "../../x" },
		"an odd digest":      func(d *Document) { d.Digest.Algorithm = "md5" },
		"no content":         func(d *Document) { d.Content = v1.Hash{} },
		"no operation":       func(d *Document) { d.Op = "" },
	} {
		t.Run(name, func(t *testing.T) {
			d := documentFor(t, blob, "op", "a")
			spoil(&d)
			if err := d.check(id("a")); err == nil {
				t.Error("the document was taken")
			}
		})
	}
}

// The oldest results go first, until what remains is small enough, or none is old enough.
func TestPrune(t *testing.T) {
	h, err := registry.Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	client, err := registry.New(registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	remote, err := NewRegistry(client, strings.TrimPrefix(server.URL, "http://")+"/cache")
	if err != nil {
		t.Fatal(err)
	}
	layout := t.TempDir()
	for name, open := range map[string]func() interface {
		both
		Pruner
	}{
		"registry": func() interface {
			both
			Pruner
		} {
			return remote
		},
		"layout": func() interface {
			both
			Pruner
		} {
			return NewLayout(layout)
		},
	} {
		t.Run(name, func(t *testing.T) {
			day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var size int64
			for n := range 4 {
				blob := packedLayer(t, fmt.Sprint("content ", n))
				d := documentFor(t, blob, fmt.Sprint("op", n), fmt.Sprint("content key ", n), fmt.Sprint("definition key ", n))
				d.Created, size = day.AddDate(0, 0, n), d.Size
				if err := open().Share(t.Context(), d, blob); err != nil {
					t.Fatal(err)
				}
			}
			for _, step := range []struct {
				p    Prune
				left int
			}{{Prune{Before: day}, 4}, {Prune{Before: day.AddDate(0, 0, 1)}, 3}, {Prune{Keep: 2 * size}, 2}, {Prune{}, 0}} {
				if _, err := open().Prune(t.Context(), step.p); err != nil {
					t.Fatal(err)
				}
				for n := range 4 {
					there, err := open().Has(t.Context(), id(fmt.Sprint("definition key ", n)))
					if want := n >= 4-step.left; err != nil || there != want {
						t.Errorf("after %+v, result %d is there: %t, want %t: %v", step.p, n, there, want, err)
					}
				}
			}
			if left, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*")); err != nil || len(left) > 0 {
				t.Errorf("these are left: %q, %v", left, err)
			}
		})
	}
}
