package exporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/wholefile"
)

// layoutFile is the content of the file oci-layout.
const layoutFile = `{"imageLayoutVersion":"1.0.0"}`

// Layout adds results to an OCI image layout: type=oci,tar=false. Any number of processes may add to one
// directory at once.
type Layout struct {
	// Dir is made if it does not exist.
	Dir string
	// Names are what the result is called in it. What had one of them before is no longer called so. Without
	// names it has the tag latest, as with buildx.
	Names []string
}

// Write implements Output.
func (o Layout) Write(ctx context.Context, r Result) (Written, error) {
	tags, err := parseNames(o.Names)
	if err != nil {
		return Written{}, err
	}
	top, err := r.top()
	if err != nil {
		return Written{}, err
	}
	all, err := r.contents()
	if err != nil {
		return Written{}, err
	}
	if err := o.writeBlobs(ctx, all); err != nil {
		return Written{}, fmt.Errorf("writing the layout %s: %w", o.Dir, err)
	}
	entry, err := r.indexEntry(top)
	if err != nil {
		return Written{}, err
	}
	referrers, err := r.referrerEntries()
	if err != nil {
		return Written{}, err
	}
	if err := o.publish(append(layoutEntries(entry, tags), referrers...)); err != nil {
		return Written{}, fmt.Errorf("writing the layout %s: %w", o.Dir, err)
	}
	return Written{Descriptor: top.Descriptor, Names: fullNames(tags)}, nil
}

func layoutEntries(d v1.Descriptor, tags []name.Tag) []v1.Descriptor {
	if len(tags) == 0 {
		return []v1.Descriptor{annotated(d, annotationTag, "latest")}
	}
	return named(d, tags)
}

// indexEntry is how index.json refers to the result.
func (r Result) indexEntry(top manifest) (v1.Descriptor, error) {
	if len(r.Images) == 0 {
		return top.Descriptor, nil
	}
	config, err := r.Images[0].Image.ConfigFile()
	if err != nil || config.Created.IsZero() {
		return top.Descriptor, err
	}
	return annotated(top.Descriptor, annotationCreated, config.Created.UTC().Format(time.RFC3339)), nil
}

// referrerEntries are how index.json refers to manifests about the images.
func (r Result) referrerEntries() ([]v1.Descriptor, error) {
	entries := make([]v1.Descriptor, len(r.referrers))
	for i, b := range r.referrers {
		var err error
		if entries[i], err = b.descriptor(); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// writeBlobs writes what is not there yet, a few blobs at once.
func (o Layout) writeBlobs(ctx context.Context, all []content) error {
	const atOnce = 4
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, c := range all {
		g.Go(func() error {
			path := filepath.Join(o.Dir, filepath.FromSlash(c.path()))
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() == c.size {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			return wholefile.Create(path, 0o644, func(w io.Writer) error { return c.copy(cancellable(ctx, w)) })
		})
	}
	return g.Wait()
}

// publish adds entries to index.json while holding a lock on the directory.
func (o Layout) publish(entries []v1.Descriptor) error {
	dir, err := os.Open(o.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := lock(dir); err != nil {
		return err
	}
	index, err := o.readIndex()
	if err != nil {
		return err
	}
	for _, e := range entries {
		index.Manifests = append(without(index.Manifests, e), e)
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	for path, content := range map[string]string{"oci-layout": layoutFile, "index.json": string(raw)} {
		err := wholefile.Create(filepath.Join(o.Dir, path), 0o644, func(w io.Writer) error {
			_, err := io.WriteString(w, content)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lock waits until no other process has f locked. Closing f ends the lock.
func lock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("flock", err)
		}
	}
}

func (o Layout) readIndex() (*v1.IndexManifest, error) {
	index := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	raw, err := os.ReadFile(filepath.Join(o.Dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, index); err != nil {
		return nil, fmt.Errorf("parsing index.json: %w", err)
	}
	return index, nil
}

// without returns the entries that are not called what e is called, or, if that has no name, are not e.
func without(entries []v1.Descriptor, e v1.Descriptor) []v1.Descriptor {
	kept := []v1.Descriptor{}
	for _, old := range entries {
		same := old.Annotations[annotationTag] == e.Annotations[annotationTag] && old.Annotations[annotationName] == e.Annotations[annotationName]
		if nameless := e.Annotations[annotationTag] == "" && e.Annotations[annotationName] == ""; nameless {
			same = old.Digest == e.Digest
		}
		if !same {
			kept = append(kept, old)
		}
	}
	return kept
}
