package exporter

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// single is a result of one image, double one of an index of two.
func single(t *testing.T) Result {
	t.Helper()
	return Result{Images: []Built{{Image: testImage(t), Platform: amd64}}}
}

func double(t *testing.T) Result {
	t.Helper()
	c := testConfig()
	c.Architecture = "arm64"
	arm := newImage(t, c, randomLayers(t, types.OCILayer, types.OCILayer), Options{})
	images := append(single(t).Images, Built{Image: arm, Platform: v1.Platform{OS: "linux", Architecture: "arm64"}})
	return Result{Images: images, Index: testIndex(t, images...)}
}
