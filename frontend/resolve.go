package frontend

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// NameError says that a name could not be resolved, which is not always the Dockerfile's fault.
type NameError struct {
	Name string
	Err  error
	// Similar is the name that may have been meant, if there is one.
	Similar string
}

func (e *NameError) Error() string {
	if e.Similar == "" {
		return fmt.Sprintf("resolving %s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("resolving %s: %v (did you mean %s?)", e.Name, e.Err, e.Similar)
}

// Unwrap returns the cause.
func (e *NameError) Unwrap() error { return e.Err }

// origin is what a stage begins from that does not continue another.
type origin struct {
	// base is the image that the name of the base stands for, nil if it stands for something else; then
	// that is tree, and name is what it is called.
	base     *Base
	tree     *solver.Vertex
	name     string
	config   dockerspec.DockerOCIImage
	platform v1.Platform
}

// resolution looks up what stages begin from, each as soon as it is known to be needed.
type resolution struct {
	*lowerer
	group *errgroup.Group

	mu sync.Mutex // guards what follows, and planning the triggers of images
	// images and contexts are the lookups by name and platform.
	images   map[string]func() (Base, error)
	contexts map[string]func() (Context, error)
}

// resolve finds the origins of all stages that wanted is made from.
func (l *lowerer) resolve(ctx context.Context, wanted []*stage) error {
	group, ctx := errgroup.WithContext(ctx)
	r := &resolution{
		lowerer: l, group: group,
		images: map[string]func() (Base, error){}, contexts: map[string]func() (Context, error){},
	}
	r.mu.Lock()
	for _, s := range wanted {
		r.reach(ctx, s)
	}
	r.mu.Unlock()
	return group.Wait()
}

// reach starts to resolve s and what it is made from. The caller holds the lock.
func (r *resolution) reach(ctx context.Context, s *stage) {
	if s == nil || r.reached[s] {
		return
	}
	r.reached[s] = true
	if s.context == "" {
		r.reachSources(ctx, s.commands)
	}
	if s.base != nil {
		r.reach(ctx, s.base)
		return
	}
	r.group.Go(func() error {
		o, err := r.origin(ctx, s)
		if err != nil {
			return r.file.fail(s.from.Location, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.found(ctx, s, o)
	})
}

func (r *resolution) reachSources(ctx context.Context, commands []command) {
	for _, c := range commands {
		for _, source := range c.sources {
			r.reach(ctx, source)
		}
	}
}

// found remembers the origin of s, and plans what its image has put off.
func (r *resolution) found(ctx context.Context, s *stage, o origin) error {
	triggers := o.config.Config.OnBuild
	o.config.Config.OnBuild = nil
	r.origins[s] = o
	if s.foreign || s.context != "" || len(triggers) == 0 {
		return nil
	}
	if err := r.addTriggers(s, triggers); err != nil {
		return err
	}
	r.reachSources(ctx, s.commands)
	return nil
}

// origin looks up what s begins from.
func (r *resolution) origin(ctx context.Context, s *stage) (origin, error) {
	p := r.req.Platform
	if s.platform != nil {
		p = *s.platform
	}
	if s.context != "" {
		o, err := r.fromContext(ctx, s.context, p)
		o.platform = originPlatform(o.config.Platform, p)
		return o, err
	}
	if s.ref == "" {
		p = r.req.Platform
		return origin{tree: scratch(), config: emptyImage(p), platform: p}, nil
	}
	if c := r.contextFor(s.ref); c != "" {
		return r.fromContext(ctx, c, p)
	}
	base, err := r.image(ctx, s.ref, p)
	if err != nil {
		name := s.from.BaseName
		return origin{}, &NameError{Name: name, Err: err, Similar: similar(name, append(r.stageNames(), popularImages()...))}
	}
	o := origin{base: &base, config: base.Config, platform: p}
	o.config.Created = nil
	return o, nil
}

// image asks the resolver for an image, once for every name and platform.
func (r *resolution) image(ctx context.Context, ref string, p v1.Platform) (Base, error) {
	return once(&r.mu, r.images, ref+" "+platforms.FormatAll(p), func() (Base, error) {
		return r.resolver.Image(ctx, ref, p)
	})
}

// fromContext returns the origin that a named context is.
func (r *resolution) fromContext(ctx context.Context, name string, p v1.Platform) (origin, error) {
	c, err := once(&r.mu, r.contexts, name+" "+platforms.FormatAll(p), func() (Context, error) {
		return r.resolver.Context(ctx, name, p)
	})
	if err != nil {
		return origin{}, &NameError{Name: name, Err: err}
	}
	o := origin{tree: c.Tree, name: name, config: emptyImage(p), platform: p}
	if c.Config != nil {
		o.config = *c.Config
		o.config.Created = nil
	}
	return o, nil
}

// once calls lookup, unless that was done for the key before; then it returns what came of that.
func once[T any](mu *sync.Mutex, done map[string]func() (T, error), key string, lookup func() (T, error)) (T, error) {
	mu.Lock()
	f, ok := done[key]
	if !ok {
		f = sync.OnceValues(lookup)
		done[key] = f
	}
	mu.Unlock()
	return f()
}

// contextFor returns the named context that stands for name, empty if none does. Names are compared as those
// of images are: what is left out is docker.io/library and latest.
func (l *lowerer) contextFor(name string) string {
	if name == "" || strings.EqualFold(name, scratchName) || strings.EqualFold(name, "context") {
		return ""
	}
	return l.named[familiar(name)]
}

// familiar returns the shortest form of an image name.
func familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return strings.TrimSuffix(reference.FamiliarString(named), ":latest")
}
