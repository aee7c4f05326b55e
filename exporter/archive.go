package exporter

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Archive writes results as an OCI image layout in a tar archive: type=oci, and type=docker. Equal results
// give equal bytes.
type Archive struct {
	// Path is the file to write, unless there is a Stream.
	Path   string
	Stream io.Writer
	// Names are what the image is called.
	Names []string
	// Docker adds what "docker load" of any age needs, as "docker save" writes it. Only a single image can be
	// written so.
	Docker bool
}

// Write implements Output.
func (o Archive) Write(ctx context.Context, r Result) (Written, error) {
	if o.Docker && (r.Index != nil || len(r.Images) != 1) {
		return Written{}, fmt.Errorf("an archive for docker holds one image, and this result has an index of %d: build for one platform, or write an OCI archive", len(r.Images))
	}
	tags, err := parseNames(o.Names)
	if err != nil {
		return Written{}, err
	}
	top, err := r.top()
	if err != nil {
		return Written{}, err
	}
	entries, err := o.entries(r, top, tags)
	if err != nil {
		return Written{}, err
	}
	file := destinationFile{o.Path, o.Stream}
	if err := file.write(func(w io.Writer) error { return writeArchive(cancellable(ctx, w), entries) }); err != nil {
		return Written{}, err
	}
	return Written{Descriptor: top.Descriptor, Names: fullNames(tags), Notes: o.notes(r)}, nil
}

// notes says that what docker loads has no place for attestations: it takes every manifest for an image.
func (o Archive) notes(r Result) []string {
	if !o.Docker || len(r.referrers) == 0 {
		return nil
	}
	return []string{"an archive for docker has no place for attestations: they were left out"}
}

// archiveEntry is a file in an archive, or a directory if its name ends so.
type archiveEntry struct {
	name string
	size int64
	copy func(io.Writer) error
}

func (o Archive) entries(r Result, top manifest, tags []name.Tag) ([]archiveEntry, error) {
	if o.Docker {
		r.referrers = nil
	}
	all, err := r.contents()
	if err != nil {
		return nil, err
	}
	entry, err := r.indexEntry(top)
	if err != nil {
		return nil, err
	}
	referrers, err := r.referrerEntries()
	if err != nil {
		return nil, err
	}
	manifests := append(named(entry, tags), referrers...)
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: manifests})
	if err != nil {
		return nil, err
	}
	entries := []archiveEntry{bytesEntry("oci-layout", []byte(layoutFile)), bytesEntry("index.json", index), {name: "blobs/"}}
	for _, c := range all {
		entries = append(entries, archiveEntry{c.path(), c.size, c.copy}, archiveEntry{name: path.Dir(c.path()) + "/"})
	}
	if o.Docker {
		m, err := dockerManifest(r.Images[0], tags)
		if err != nil {
			return nil, err
		}
		entries = append(entries, bytesEntry("manifest.json", m))
	}
	slices.SortFunc(entries, func(a, b archiveEntry) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(entries, func(a, b archiveEntry) bool { return a.name == b.name }), nil
}

func bytesEntry(name string, b []byte) archiveEntry {
	return archiveEntry{name, int64(len(b)), func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(b))
		return err
	}}
}

// dockerManifest is the manifest.json of "docker save".
func dockerManifest(b Built, tags []name.Tag) ([]byte, error) {
	m, err := b.Image.Manifest()
	if err != nil {
		return nil, err
	}
	image := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{Config: content{digest: m.Config.Digest}.path(), RepoTags: []string{}, Layers: []string{}}
	for _, t := range tags {
		image.RepoTags = append(image.RepoTags, shortName(t))
	}
	for _, l := range m.Layers {
		image.Layers = append(image.Layers, content{digest: l.Digest}.path())
	}
	return json.Marshal([]any{image})
}

// writeArchive writes entries without anything that differs between two runs, such as times and owners.
func writeArchive(w io.Writer, entries []archiveEntry) error {
	t := tar.NewWriter(w)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: e.size, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if strings.HasSuffix(e.name, "/") {
			h.Mode, h.Typeflag = 0o755, tar.TypeDir
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("adding %s to the archive: %w", e.name, err)
		}
		if e.copy == nil {
			continue
		}
		if err := e.copy(t); err != nil {
			return err // an archive without an end is not taken for a whole one
		}
	}
	return t.Close()
}
