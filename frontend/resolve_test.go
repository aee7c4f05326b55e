package frontend_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/solver"
)

// meeting is a resolver whose lookups of images wait for each other, so that it only ends if all of them are
// made at once.
type meeting struct {
	fakeResolver
	all sync.WaitGroup
}

func (m *meeting) Image(ctx context.Context, ref string, p v1.Platform) (frontend.Base, error) {
	m.all.Done()
	m.all.Wait()
	return m.fakeResolver.Image(ctx, ref, p)
}

// The images of all stages are looked up at once, those that are copied and mounted from as well.
func TestResolveInParallel(t *testing.T) {
	m := &meeting{}
	m.all.Add(4)
	_, err := frontend.Lower(t.Context(), requestFor(`
FROM a AS one
COPY --from=b / /
FROM c
COPY --from=one / /
RUN --mount=from=d,target=/d true
`), m)
	if err != nil {
		t.Fatal(err)
	}
}

// An image is asked for once, whoever needs it, and a failure stops the other lookups.
func TestResolveOnce(t *testing.T) {
	r := &fakeResolver{}
	_, err := frontend.Lower(t.Context(), requestFor("FROM a AS x\nFROM docker.io/library/a:latest\nCOPY --from=a / /\nCOPY --from=x / /\n"), r)
	if err != nil || len(r.asked) != 1 {
		t.Errorf("asked %q, %v", r.asked, err)
	}
	stopped := &stopper{}
	_, err = frontend.Lower(t.Context(), requestFor("FROM missing AS x\nFROM slow\nCOPY --from=x / /\n"), stopped)
	if err == nil || !strings.Contains(err.Error(), "resolving missing") {
		t.Errorf("got %v", err)
	}
}

// stopper is a resolver that finds missing images missing and others never.
type stopper struct{ fakeResolver }

func (s *stopper) Image(ctx context.Context, ref string, p v1.Platform) (frontend.Base, error) {
	if strings.Contains(ref, "missing") {
		return s.fakeResolver.Image(ctx, ref, p)
	}
	<-ctx.Done()
	return frontend.Base{}, context.Cause(ctx)
}

// A trigger can neither copy from the stage that runs it nor from a later one.
func TestTriggerNeedsStage(t *testing.T) {
	for _, name := range []string{"mid", "last"} {
		config := `{"config": {"OnBuild": ["COPY --from=` + name + ` / /"]}}`
		r := &fakeResolver{images: []fakeImage{{name: "trigger", config: []byte(config)}}}
		_, err := frontend.Lower(t.Context(), requestFor("FROM trigger AS mid\nFROM mid AS last\nCOPY --from=mid / /\n"), r)
		want := `Dockerfile:1: cannot copy from stage "` + name + `", it needs to be defined before current stage "mid"`
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Steps that do not depend on the platform are equal for all platforms, so that they run once.
func TestSharedBetweenPlatforms(t *testing.T) {
	digests := map[string][]string{}
	for _, name := range []string{"linux/amd64", "linux/arm64"} {
		req := requestFor(`
FROM --platform=$BUILDPLATFORM alpine AS build
ADD https://example.com/x /
RUN build
FROM scratch
COPY --from=build /x /
COPY <<EOF /
text
EOF
`)
		req.Platform, req.PlatformImplicit = mustParse(t, name), false
		img, err := frontend.Lower(t.Context(), req, &fakeResolver{})
		if err != nil {
			t.Fatal(err)
		}
		solver.Walk([]*solver.Vertex{img.Root}, func(v *solver.Vertex) {
			if len(v.Inputs) == 0 || v.Step.Stage == "build" {
				digests[name] = append(digests[name], v.Digest().String())
			}
		})
	}
	if a, b := digests["linux/amd64"], digests["linux/arm64"]; len(a) != 6 || !slices.Equal(a, b) {
		t.Errorf("%v\n%v", a, b)
	}
}

// A request is not changed, so it can be used again.
func TestRequestIsNotChanged(t *testing.T) {
	req := requestFor("ARG SOURCE_DATE_EPOCH\nFROM scratch AS src\nADD https://example.com/x /\nFROM alpine\nLABEL a=$b\n")
	req.BuildArgs = map[string]string{"SOURCE_DATE_EPOCH": "src"}
	for range 2 {
		img, err := frontend.Lower(t.Context(), req, &fakeResolver{})
		if err != nil || img.Epoch == nil {
			t.Fatalf("got %+v, %v", img, err)
		}
	}
	if got := req.BuildArgs["SOURCE_DATE_EPOCH"]; got != "src" {
		t.Errorf("the argument became %q", got)
	}
}

// An error of the resolver is passed on as it is.
func TestEpochError(t *testing.T) {
	req := requestFor("FROM scratch\n")
	req.BuildArgs = map[string]string{"SOURCE_DATE_EPOCH": "context"}
	want := errors.New("no route to host")
	_, err := frontend.Lower(t.Context(), req, &brokenEpoch{err: want})
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

type brokenEpoch struct {
	fakeResolver
	err error
}

func (b *brokenEpoch) Epoch(context.Context, *solver.Vertex) (*int64, error) { return nil, b.err }
