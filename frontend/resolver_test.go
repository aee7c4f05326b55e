package frontend_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// fakeResolver knows every image, except those of which "missing" is a part. What it says about one depends
// on its name and platform only.
type fakeResolver struct {
	images, contexts []fakeImage

	mu    sync.Mutex
	asked []string
}

// fakeImage is a name and the config it has, in JSON. An empty config is that of files.
type fakeImage struct {
	name   string
	config []byte
}

const fakeConfig = `{"os": "linux", "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/sh"]}}`

var (
	errMissing = errors.New("not found")
	errDenied  = errors.New("denied by policy")
)

func (r *fakeResolver) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, fmt.Sprintf(format, args...))
}

// log returns what was asked for, in an order that is always the same.
func (r *fakeResolver) log() []string {
	slices.Sort(r.asked)
	return r.asked
}

func (r *fakeResolver) Image(_ context.Context, ref string, p v1.Platform) (frontend.Base, error) {
	r.note("image %s for %s", ref, platforms.FormatAll(p))
	if strings.Contains(ref, "missing") {
		return frontend.Base{}, errMissing
	}
	config := []byte(fakeConfig)
	for _, i := range r.images {
		if strings.TrimPrefix(strings.TrimSuffix(ref, ":latest"), "docker.io/library/") == i.name {
			config = i.config
		}
	}
	base, err := readBase(config, p)
	if err != nil {
		return frontend.Base{}, err
	}
	digest := fakeHash(ref + platforms.FormatAll(p))
	name, _, _ := strings.Cut(ref, "@")
	base.Image = solver.Image{Ref: name + "@" + digest.String(), Digest: digest}
	if !strings.Contains(ref, "empty") {
		base.Image.DiffIDs = []v1.Hash{fakeHash("layer of " + digest.String())}
	}
	return base, nil
}

func readBase(config []byte, p v1.Platform) (base frontend.Base, err error) {
	if err := json.Unmarshal(config, &base.Config); err != nil {
		return base, err
	}
	if base.Config.Architecture == "" {
		base.Config.Architecture, base.Config.Variant = p.Architecture, p.Variant
	}
	if base.Config.OS == "" {
		base.Config.OS = p.OS
	}
	return base, nil
}

func (r *fakeResolver) Context(_ context.Context, name string, p v1.Platform) (frontend.Context, error) {
	r.note("context %s for %s", name, platforms.FormatAll(p))
	for _, c := range r.contexts {
		if c.name != name {
			continue
		}
		result := frontend.Context{Tree: localContext(name)}
		if len(c.config) > 0 {
			base, err := readBase(c.config, p)
			if err != nil {
				return frontend.Context{}, err
			}
			result.Config = &dockerspec.DockerOCIImage{}
			*result.Config = base.Config
		}
		return result, nil
	}
	return frontend.Context{}, errMissing
}

func (r *fakeResolver) URL(_ context.Context, op solver.HTTP) (solver.HTTP, error) {
	if strings.Contains(op.URL, "denied") {
		return op, errDenied
	}
	return op, nil
}

func (r *fakeResolver) Git(_ context.Context, g frontend.GitRef) (frontend.GitRef, error) {
	if strings.Contains(g.Remote, "denied") {
		return g, errDenied
	}
	return g, nil
}

func (r *fakeResolver) Commit(_ context.Context, g frontend.GitRef) (string, error) {
	r.note("commit %s of %s", g.Ref, g.Remote)
	if strings.Contains(g.Remote, "missing") {
		return "", errMissing
	}
	commit := fakeHash(g.Remote + g.Ref).Hex[:40]
	if g.FetchByCommit {
		commit = g.Checksum
	}
	if !strings.HasPrefix(commit, g.Checksum) {
		return "", fmt.Errorf("expected checksum to match %s, got %s", g.Checksum, commit)
	}
	return commit, nil
}

func (r *fakeResolver) Epoch(_ context.Context, source *solver.Vertex) (*int64, error) {
	r.note("epoch of %T", source.Op)
	if _, ok := source.Op.(solver.Local); ok {
		return nil, nil
	}
	epoch := int64(1_700_000_000)
	return &epoch, nil
}

func fakeHash(s string) v1.Hash {
	sum := sha256.Sum256([]byte(s))
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}
