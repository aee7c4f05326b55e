//go:build linux

package main

import (
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/solver"
)

// layoutImage resolves DIRECTORY[:TAG][@DIGEST], an image in an OCI image layout.
func (b *build) layoutImage(ref string, p v1.Platform) (frontend.Base, error) {
	dir, digest, _ := strings.Cut(ref, "@")
	dir, tag := cutTag(dir)
	dir, err := filepath.Abs(dir)
	if err != nil {
		return frontend.Base{}, err
	}
	image, err := registry.Layout{Dir: dir}.Resolve(tag, digest, choose(p))
	if err != nil {
		return frontend.Base{}, err
	}
	d := image.Manifest.Descriptor.Digest
	return b.resolved.add(solver.Image{
		Ref: "oci-layout://" + dir + "@" + d.String(), Digest: d, DiffIDs: image.Config.RootFS.DiffIDs, Layout: dir,
	}, image)
}

// cutTag splits the tag from the path of a layout.
func cutTag(s string) (path, tag string) {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		return s[:i], s[i+1:]
	}
	return s, ""
}
