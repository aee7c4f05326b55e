package e2e

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// layered REF ARCHIVE... pushes an image of the toybox and of tar archives, each a layer as it is, without a history.
func layered(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: layered REF ARCHIVE...")
	}
	ref, options := reference(ts, args[:1])
	image := toyboxOf(ts)
	for _, archive := range args[1:] {
		layer := static.NewLayer([]byte(ts.ReadFile(archive)), types.OCIUncompressedLayer)
		var err error
		image, err = mutate.AppendLayers(image, layer)
		ts.Check(err)
	}
	config, err := image.ConfigFile()
	ts.Check(err)
	config = config.DeepCopy()
	config.History = nil
	image, err = mutate.ConfigFile(image, config)
	ts.Check(err)
	ts.Check(remote.Write(ref, image, options...))
}

// toyboxOf returns the image that scripts build on, for amd64.
func toyboxOf(ts *testscript.TestScript) v1.Image {
	path, err := layout.FromPath(toybox(testuser.Dir()))
	ts.Check(err)
	index, err := only(path)
	ts.Check(err)
	m, err := index.IndexManifest()
	ts.Check(err)
	image, err := index.Image(m.Manifests[0].Digest)
	ts.Check(err)
	return image
}
