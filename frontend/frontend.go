package frontend

import (
	"context"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// Request says what is to be built, for one platform. Besides variables of the Dockerfile its BuildArgs may
// hold the ones that docker build gives a meaning: SOURCE_DATE_EPOCH, the proxies, BUILDKIT_SYNTAX,
// BUILDKIT_DOCKERFILE_CHECK, BUILDKIT_CACHE_MOUNT_NS and BUILDKIT_SANDBOX_HOSTNAME.
type Request struct {
	// Dockerfile is the text, Filename what messages call it; empty means "Dockerfile".
	Dockerfile []byte
	Filename   string
	// Target is the name or the number of the stage asked for; empty means the last.
	Target    string
	BuildArgs map[string]string
	// Labels are added to those of the Dockerfile.
	Labels map[string]string
	// Platform is what the image is for, BuildPlatform what the builder runs on.
	Platform, BuildPlatform v1.Platform
	// PlatformImplicit: nobody asked for Platform, so an image keeps the one of its base.
	PlatformImplicit bool
	// Context is the source of the build context; nil means an empty one.
	Context *solver.Vertex
	// IgnorePatterns are those of the ignore file of the context, only to warn about copying what it hides.
	IgnorePatterns []string
	// Contexts are the names of the named contexts, for [Resolver.Context].
	Contexts []string
	// RewriteTimes makes SOURCE_DATE_EPOCH the time of all that steps write that would be younger. Else it is
	// only the time of the image, of its history and of directories that WORKDIR makes.
	RewriteTimes bool
	// NoCache runs all steps, NoCacheStages those of the stages it names.
	NoCache       bool
	NoCacheStages []string
	// Network is what commands can reach that do not say so themselves; empty is the default network.
	Network  solver.Network
	Hostname string
	Hosts    []solver.HostEntry
	Limits   solver.Limits
	// AllowInsecure and AllowHostNetwork permit RUN --security=insecure and RUN --network=host.
	AllowInsecure, AllowHostNetwork bool
	// Warn, if not nil, is told what the checks of the Dockerfile find. It is called from one goroutine.
	Warn func(Warning)
}

// Resolver finds out what names stand for. It is called from several goroutines at once, but by one call of
// this package never twice for the same name and platform.
type Resolver interface {
	// Image returns the image for p that ref, a full name with tag or digest, stands for.
	Image(ctx context.Context, ref string, p v1.Platform) (Base, error)
	// Context returns what the named context called name, one of [Request.Contexts], holds for p.
	Context(ctx context.Context, name string, p v1.Platform) (Context, error)
	// URL returns what is downloaded for op: op itself, or what is to be used in its place, perhaps with a checksum.
	URL(ctx context.Context, op solver.HTTP) (solver.HTTP, error)
	// Git returns what is fetched for g: g itself, or what is to be used in its place.
	Git(ctx context.Context, g GitRef) (GitRef, error)
	// Commit returns the full name of the commit that g stands for. It fails if g.Checksum is not the beginning
	// of it or of the name of the tag that points to it.
	Commit(ctx context.Context, g GitRef) (string, error)
	// Epoch returns the time in seconds since 1970 of a source: that of the commit or of the download. It
	// is nil if the source has no time that everybody would see alike.
	Epoch(ctx context.Context, source *solver.Vertex) (*int64, error)
}

// Base is an image that a name was resolved to.
type Base struct {
	Image  solver.Image
	Config dockerspec.DockerOCIImage
}

// Context is what a named context holds.
type Context struct {
	Tree *solver.Vertex
	// Config is nil if the context is not an image.
	Config *dockerspec.DockerOCIImage
}

// Image is what a Dockerfile means.
type Image struct {
	// Root is the vertex whose tree the image holds.
	Root *solver.Vertex
	// Config is complete, with a history entry for every instruction, but for the times of what is made now
	// and for RootFS.DiffIDs.
	Config dockerspec.DockerOCIImage
	// Platform is what an index says about the image.
	Platform v1.Platform
	// Base is the image that the target was built on, nil if there is none.
	Base *Base
	// Epoch, if not nil, is the time in seconds since 1970 to be used instead of now.
	Epoch *int64
}

// Lower turns the Dockerfile of req into a graph. Every error is an [*Error], which says where in the Dockerfile
// it came up; if there is a [*NameError] in it, it is r that could not do what the Dockerfile asks for.
func Lower(ctx context.Context, req Request, r Resolver) (*Image, error) {
	l, target, err := open(ctx, req, r)
	if err != nil {
		return nil, err
	}
	if err := l.lower(ctx, target); err != nil {
		return nil, err
	}
	return l.image(l.states[target]), nil
}

// open reads the Dockerfile of req and plans its stages. The stage is the target.
func open(ctx context.Context, req Request, r Resolver) (*lowerer, *stage, error) {
	req = req.withDefaults()
	file, err := parse(&req)
	if err != nil {
		return nil, nil, err
	}
	l := newLowerer(&req, file, r)
	if err := l.readGlobals(ctx); err != nil {
		return nil, nil, err
	}
	if err := l.plan(); err != nil {
		return nil, nil, err
	}
	target, err := l.target()
	return l, target, err
}

// withDefaults returns a copy that can be changed, with everything filled in.
func (req Request) withDefaults() Request {
	req.BuildArgs = maps.Clone(req.BuildArgs)
	if req.BuildArgs == nil {
		req.BuildArgs = map[string]string{}
	}
	if req.Filename == "" {
		req.Filename = "Dockerfile"
	}
	if req.Context == nil {
		req.Context = scratch()
	}
	if req.Network == "" {
		req.Network = solver.NetworkDefault
	}
	if h := req.BuildArgs["BUILDKIT_SANDBOX_HOSTNAME"]; h != "" {
		req.Hostname = h
	}
	req.Platform = platforms.Normalize(req.Platform)
	req.BuildPlatform = platforms.Normalize(req.BuildPlatform)
	return req
}

// scratch returns the empty tree.
func scratch() *solver.Vertex {
	return solver.NewVertex(solver.Vertex{Op: solver.Scratch{}})
}

// noCache reports whether the steps of s must run.
func (req *Request) noCache(s *stage) bool {
	named := func(name string) bool { return strings.EqualFold(name, s.label()) }
	return req.NoCache || slices.ContainsFunc(req.NoCacheStages, named)
}
