//go:build linux

package main

import (
	"cmp"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// sourceKind is a kind of source that comes over the network.
type sourceKind string

const (
	imageSource sourceKind = "image"
	urlSource   sourceKind = "url"
	gitSource   sourceKind = "git"
)

// fetchedSource is a source that a name stood for while the build was resolved.
type fetchedSource struct {
	kind sourceKind
	// name is the full name of an image, a URL, or REMOTE#REF, without credentials.
	name string
	// platform is that of an image.
	platform string
	// digest is that of the manifest or index that the name stands for, or of the content, as "sha256:…"; of git
	// it is the full name of the commit.
	digest string
	// manifest is the digest of an image's own manifest, which may be one of an index.
	manifest v1.Hash
}

// fetchedSources notes down what names stood for. Its zero value is empty and ready to use.
type fetchedSources struct {
	mu  sync.Mutex
	all []fetchedSource
}

func (f *fetchedSources) add(s fetchedSource) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, s)
}

// list returns each source once, in order.
func (f *fetchedSources) list() []fetchedSource {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(f.all)
	slices.SortFunc(all, func(a, b fetchedSource) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.platform, b.platform), cmp.Compare(a.digest, b.digest))
	})
	return slices.Compact(all)
}
