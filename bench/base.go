//go:build linux

package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/internal/toyimage"
)

// bases puts the base images into the registry.
type bases struct {
	// dir keeps root file systems as debian-ARCH.tar; those that are missing are made by mmdebstrap.
	dir string
	// prefix is the repository prefix of the images.
	prefix string
}

// provide pushes the images that are not in the registry.
func (b bases) provide(ctx context.Context) error {
	for image, makeImage := range map[string]func(context.Context) (v1.ImageIndex, error){
		"busybox:1": b.busybox, "debian:bookworm": b.debian, "golang:1.26": b.golang,
	} {
		ref, err := name.ParseReference(b.prefix+"/"+image, name.Insecure)
		if err != nil {
			return err
		}
		if _, err := remote.Head(ref, remote.WithContext(ctx)); err == nil {
			continue
		}
		index, err := makeImage(ctx)
		if err == nil {
			err = remote.WriteIndex(ref, index, remote.WithContext(ctx))
		}
		if err != nil {
			return fmt.Errorf("making the base image %s: %w", image, err)
		}
	}
	return nil
}

// busybox is small; a shell and fifty commands.
func (b bases) busybox(ctx context.Context) (v1.ImageIndex, error) {
	return toyimage.Index(ctx, platform("amd64"), platform("arm64"))
}

func (b bases) debian(ctx context.Context) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := b.root(ctx, arch)
		if err != nil {
			return nil, err
		}
		p := platform(arch)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return index, nil
}

// golang is debian and the Go distribution that this program was built with, in three layers.
func (b bases) golang(ctx context.Context) (v1.ImageIndex, error) {
	image, err := b.root(ctx, "amd64")
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for Go: %w", err)
	}
	for _, part := range []string{"bin", "src", ""} {
		l, err := goLayer(strings.TrimSpace(string(out)), part)
		if err != nil {
			return nil, err
		}
		if image, err = mutate.AppendLayers(image, l); err != nil {
			return nil, err
		}
	}
	p := platform("amd64")
	return mutate.AppendManifests(
		mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &p}},
	), nil
}

func platform(arch string) v1.Platform { return v1.Platform{OS: "linux", Architecture: arch} }

// root returns the image of a root file system.
func (b bases) root(ctx context.Context, arch string) (v1.Image, error) {
	file := filepath.Join(b.dir, "debian-"+arch+".tar")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		c := exec.CommandContext(
			ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "--arch="+arch, "bookworm", file,
		)
		if err := run(c); err != nil {
			return nil, fmt.Errorf("%w; put a root file system at %s", err, file)
		}
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return os.Open(file) }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(image, l)
}

// goLayer returns a layer with the directory part of a Go distribution, or with all but bin and src.
func goLayer(goroot, part string) (v1.Layer, error) {
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(writeGo(w, goroot, part)) }()
		return r, nil
	}, tarball.WithMediaType(types.OCILayer))
}

func writeGo(w io.Writer, goroot, part string) error {
	archive := tar.NewWriter(w)
	err := filepath.WalkDir(filepath.Join(goroot, part), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(goroot, name)
		if err != nil {
			return err
		}
		if part == "" && d.IsDir() && (below == "bin" || below == "src") {
			return filepath.SkipDir
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return nil
		}
		return addFile(archive, name, filepath.Join("usr/local/go", below), d)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

func addFile(archive *tar.Writer, name, as string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: as, Mode: int64(info.Mode().Perm()), ModTime: time.Unix(1700000000, 0)}
	if d.IsDir() {
		h.Typeflag, h.Name = tar.TypeDir, as+"/"
		return archive.WriteHeader(h)
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(archive, f)
	return err
}
