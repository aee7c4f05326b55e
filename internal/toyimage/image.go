package toyimage

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image returns an image for a platform of two layers: directories and accounts, and the toybox under all
// its names. Two calls return equal images.
func Image(ctx context.Context, p v1.Platform) (v1.Image, error) {
	program, err := Program(ctx, p)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("reading the toybox: %w", err)
	}
	commands, err := commands(ctx)
	if err != nil {
		return nil, err
	}
	var layers []v1.Layer
	for _, entries := range [][]entry{skeleton(), userland(data, commands)} {
		l, err := layer(entries)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return assemble(p, layers)
}

// Index returns an index over the images for several platforms.
func Index(ctx context.Context, platforms ...v1.Platform) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		image, err := Image(ctx, p)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return index, nil
}

// commands returns the names that the toybox can be called by.
func commands(ctx context.Context) ([]string, error) {
	native, err := Program(ctx, v1.Platform{OS: "linux", Architecture: runtime.GOARCH})
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, native, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the commands of the toybox: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// entry is a file of a layer. Names that end with a slash are directories, those with a link target are
// links: hard ones if that is an absolute path.
type entry struct {
	name     string
	mode     int64
	uid, gid int
	data     []byte
	link     string
}

// skeleton is what a root file system has besides programs.
func skeleton() []entry {
	return []entry{
		{name: "bin/", mode: 0o755},
		{name: "dev/", mode: 0o755},
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\ndaemon:x:1:\nusers:x:100:user\nnogroup:x:65534:\nuser:x:1000:\n")},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/root:/bin/sh\n" +
			"daemon:x:1:1:daemon:/:/bin/false\n" +
			"nobody:x:65534:65534:nobody:/:/bin/false\n" +
			"user:x:1000:1000:user:/home/user:/bin/sh\n")},
		{name: "home/", mode: 0o755},
		{name: "home/user/", mode: 0o750, uid: 1000, gid: 1000},
		{name: "lib/", mode: 0o755},
		{name: "proc/", mode: 0o555},
		{name: "root/", mode: 0o700},
		{name: "run/", mode: 0o755},
		{name: "sys/", mode: 0o555},
		{name: "tmp/", mode: 0o1777},
		{name: "usr/", mode: 0o755},
		{name: "usr/bin/", mode: 0o755},
		{name: "usr/local/", mode: 0o755},
		{name: "usr/local/bin/", mode: 0o755},
		{name: "var/", mode: 0o755},
		{name: "var/tmp/", mode: 0o1777},
	}
}

// userland is the program, a hard link to it for every command, and a symbolic one for the shell.
func userland(program []byte, commands []string) []entry {
	entries := []entry{{name: "bin/toybox", mode: 0o755, data: program}}
	for _, c := range commands {
		link := "/bin/toybox"
		if c == "sh" {
			link = "toybox"
		}
		entries = append(entries, entry{name: "bin/" + c, mode: 0o755, link: link})
	}
	return entries
}

// layer packs entries.
func layer(entries []entry) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(e.header()); err != nil {
			return nil, fmt.Errorf("packing %s: %w", e.name, err)
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, fmt.Errorf("packing %s: %w", e.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

func (e entry) header() *tar.Header {
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Uid: e.uid, Gid: e.gid,
		Size: int64(len(e.data)), ModTime: created(),
	}
	switch target, hard := strings.CutPrefix(e.link, "/"); {
	case strings.HasSuffix(e.name, "/"):
		h.Typeflag = tar.TypeDir
	case hard:
		h.Typeflag, h.Linkname = tar.TypeLink, target
	case target != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, target, 0o777
	}
	return h
}

// created is the time that everything in the images has.
func created() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }

// assemble makes an image of layers.
func assemble(p v1.Platform, layers []v1.Layer) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.ConfigFile(image, &v1.ConfigFile{
		OS: p.OS, Architecture: p.Architecture, Variant: p.Variant,
		Created: v1.Time{Time: created()},
		RootFS:  v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Cmd: []string{"/bin/sh"},
			Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		},
	})
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:   l,
			History: v1.History{Created: v1.Time{Time: created()}, CreatedBy: "toyimage"},
		})
		if err != nil {
			return nil, err
		}
	}
	return image, nil
}
