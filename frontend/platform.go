package frontend

import (
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-298d225e/builder/platforms"
)

// setPlatform makes the config one of the platform asked for. A variant or version that was not asked for
// stays that of the base as long as system and architecture are the same.
func (req *Request) setPlatform(img *Image) {
	got, want := &img.Config.Platform, req.Platform
	if !req.PlatformImplicit || got.OS == "" || got.Architecture == "" {
		same := got.OS == want.OS && got.Architecture == want.Architecture
		got.OS, got.Architecture = want.OS, want.Architecture
		if want.Variant != "" || !same {
			got.Variant = want.Variant
		}
		if want.OSVersion != "" || !same {
			got.OSVersion = want.OSVersion
		}
		if want.OSFeatures != nil {
			got.OSFeatures = want.OSFeatures
		}
	}
	p := normalPlatform(*got)
	got.OS, got.Architecture, got.Variant, got.OSFeatures = p.OS, p.Architecture, p.Variant, slices.Clone(p.OSFeatures)
	img.Platform = p
	if !req.PlatformImplicit && want.OS != windows {
		img.Platform = want // an index says what was asked for, but of Windows which version it became
	}
}

// originPlatform returns the platform that a config is for, p if it does not say.
func originPlatform(config ocispec.Platform, p v1.Platform) v1.Platform {
	if config.OS == "" || config.Architecture == "" {
		return p
	}
	return normalPlatform(config)
}

// normalPlatform returns the platform of a config, by its usual names.
func normalPlatform(p ocispec.Platform) v1.Platform {
	return platforms.Normalize(v1.Platform{
		OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures,
	})
}
