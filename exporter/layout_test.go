package exporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// wantLayout checks that a layout has a result under a name, with another implementation.
func wantLayout(t *testing.T, dir string, r Result, image, tag string) {
	t.Helper()
	x, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(x); err != nil {
		t.Error(err)
	}
	m, _ := x.IndexManifest()
	top, err := r.top()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Manifests {
		if d.Annotations[annotationName] == image && d.Annotations[annotationTag] == tag {
			if d.Digest != top.Digest || d.Annotations[annotationCreated] == "" {
				t.Errorf("%s is %s", image, asJSON(d))
			}
			return
		}
	}
	t.Errorf("%s has no %s %s", asJSON(m), image, tag)
}

func TestLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "layout")
	first, second, third := single(t), double(t), single(t)
	for _, c := range []struct {
		r     Result
		names []string
	}{{first, []string{"app:v1", "me/app:v2"}}, {second, nil}, {third, []string{"app:v1"}}} {
		w, err := Layout{Dir: dir, Names: c.names}.Write(t.Context(), c.r)
		if err != nil {
			t.Fatal(err)
		}
		top, _ := c.r.top()
		if w.Descriptor.Digest != top.Digest {
			t.Errorf("got %+v", w)
		}
	}
	wantLayout(t, dir, first, "docker.io/me/app:v2", "v2")
	wantLayout(t, dir, second, "", "latest")
	wantLayout(t, dir, third, "docker.io/library/app:v1", "v1")
	if x, _ := layout.ImageIndexFromPath(dir); x != nil {
		if m, _ := x.IndexManifest(); len(m.Manifests) != 3 {
			t.Errorf("got %s", asJSON(m))
		}
	}
	marker, _ := os.ReadFile(filepath.Join(dir, "oci-layout"))
	if string(marker) != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("got %s", marker)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("this is left: %q", left)
	}
}

// Writers at the same time do not lose each other's entries.
func TestLayoutConcurrently(t *testing.T) {
	dir := t.TempDir()
	results := make([]Result, 12)
	for i := range results {
		results[i] = single(t)
	}
	var wg sync.WaitGroup
	for i, r := range results {
		wg.Go(func() {
			if _, err := (Layout{Dir: dir, Names: []string{fmt.Sprintf("app:v%d", i)}}).Write(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, r := range results {
		wantLayout(t, dir, r, fmt.Sprintf("docker.io/library/app:v%d", i), fmt.Sprintf("v%d", i))
	}
}

// What is in the way, damaged or wrong is an error, and index.json stays as it was.
func TestLayoutErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte("no JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Layout{Dir: dir}).Write(t.Context(), single(t)); err == nil || !strings.Contains(err.Error(), "parsing index.json") {
		t.Errorf("got %v", err)
	}
	good := t.TempDir()
	if _, err := (Layout{Dir: good}).Write(t.Context(), single(t)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(filepath.Join(good, "index.json"))
	if _, err := (Layout{Dir: good}).Write(t.Context(), lying(t)); err == nil || !strings.Contains(err.Error(), "its digest is") {
		t.Errorf("got %v", err)
	}
	after, _ := os.ReadFile(filepath.Join(good, "index.json"))
	if !bytes.Equal(before, after) {
		t.Errorf("index.json has changed")
	}
	if _, err := (Layout{Dir: good, Names: []string{"A B"}}).Write(t.Context(), single(t)); err == nil {
		t.Errorf("a wrong name was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Layout{Dir: t.TempDir()}).Write(ctx, single(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
