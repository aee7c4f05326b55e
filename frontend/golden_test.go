package frontend_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/tools/txtar"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

var update = flag.Bool("update", false, "rewrite what the golden files want")

// TestGolden lowers the Dockerfile of every file in testdata and compares the graph, the config and the
// warnings with what the file wants. Further sections are "request", with one option a line, and
// "image NAME" and "context NAME" with the config that the name has.
func TestGolden(t *testing.T) {
	for _, file := range goldenFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := lowerArchive(t, archive)
			for i, f := range archive.Files {
				if f.Name != "want" {
					continue
				}
				if *update {
					archive.Files[i].Data = []byte(got)
					if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if d := cmp.Diff(string(f.Data), got); d != "" && !*update {
					t.Errorf("-want +got:\n%s", d)
				}
				return
			}
			t.Fatal("no section called want")
		})
	}
}

// goldenFiles returns the names of the golden files: those of this package, and Dockerfiles as they are written
// for real.
func goldenFiles(t testing.TB) (files []string) {
	t.Helper()
	for _, pattern := range []string{"testdata/*.txtar", "../testdata/dockerfiles/*.txtar"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal("no golden files", err)
		}
		files = append(files, found...)
	}
	return files
}

// lowerArchive returns what came of the Dockerfile of a golden file, as text.
func lowerArchive(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	var out strings.Builder
	req, r, call, asJSON := readArchive(t, archive)
	req.Warn = func(w frontend.Warning) { fmt.Fprintf(&out, "warning: %s\n", w) }
	var err error
	switch call {
	case "check":
		result := frontend.Check(t.Context(), req, r)
		err = result.Print(&out)
		if asJSON {
			printJSON(t, &out, result)
		}
	case "outline":
		var result *frontend.OutlineResult
		if result, err = frontend.Outline(t.Context(), req, r); err == nil {
			err = result.Print(&out)
			result.Sources = nil
			printJSON(t, &out, result)
		}
	case "targets":
		var result *frontend.TargetsResult
		if result, err = frontend.Targets(req); err == nil {
			err = result.Print(&out)
			result.Sources = nil
			printJSON(t, &out, result)
		}
	default:
		var img *frontend.Image
		if img, err = frontend.Lower(t.Context(), req, r); err == nil {
			printImage(t, &out, img)
		}
	}
	if err != nil {
		fmt.Fprintf(&out, "error: %v\n", err)
		if e, ok := errors.AsType[*frontend.Error](err); ok {
			out.WriteString(e.Excerpt())
		}
	}
	for _, asked := range r.log() {
		fmt.Fprintf(&out, "asked: %s\n", asked)
	}
	return out.String()
}

func printJSON(t *testing.T, out *strings.Builder, v any) {
	t.Helper()
	dt, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(out, "%s\n", dt)
}

// readArchive makes the request that the sections of a golden file describe.
func readArchive(t *testing.T, archive *txtar.Archive) (
	req frontend.Request, r *fakeResolver, call string, asJSON bool,
) {
	t.Helper()
	r = &fakeResolver{}
	req = frontend.Request{
		Platform: mustParse(t, "linux/amd64"), BuildPlatform: mustParse(t, "linux/amd64"), PlatformImplicit: true,
		Context:   localContext("context"),
		BuildArgs: map[string]string{}, Labels: map[string]string{},
	}
	for _, f := range archive.Files {
		kind, name, _ := strings.Cut(f.Name, " ")
		switch kind {
		case "Dockerfile":
			req.Dockerfile = f.Data
		case "ignore":
			var err error
			if req.IgnorePatterns, err = frontend.ParseIgnore(".dockerignore", f.Data); err != nil {
				t.Fatal(err)
			}
		case "request":
			for line := range strings.Lines(string(f.Data)) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
				switch key {
				case "call":
					call = value
				case "json":
					asJSON = true
				default:
					setOption(t, &req, key, value)
				}
			}
		case "image":
			r.images = append(r.images, fakeImage{name: name, config: f.Data})
		case "context":
			req.Contexts = append(req.Contexts, name)
			r.contexts = append(r.contexts, fakeImage{name: name, config: f.Data})
		case "want":
		default:
			t.Fatalf("unknown section %q", f.Name)
		}
	}
	return req, r, call, asJSON
}

func setOption(t *testing.T, req *frontend.Request, key, value string) {
	t.Helper()
	name, v, _ := strings.Cut(value, "=")
	switch key {
	case "arg":
		req.BuildArgs[name] = v
	case "label":
		req.Labels[name] = v
	case "target":
		req.Target = value
	case "platform":
		req.Platform, req.PlatformImplicit = mustParse(t, value), false
	case "build-platform":
		req.BuildPlatform = mustParse(t, value)
	case "no-cache":
		req.NoCache = true
	case "no-cache-stage":
		req.NoCacheStages = append(req.NoCacheStages, value)
	case "network":
		req.Network = solver.Network(value)
	case "hostname":
		req.Hostname = value
	case "add-host":
		req.Hosts = append(req.Hosts, solver.HostEntry{Name: name, IP: v})
	case "shm-size":
		req.Limits.ShmSize = 1 << 20
	case "allow":
		req.AllowHostNetwork = req.AllowHostNetwork || value == "network.host"
		req.AllowInsecure = req.AllowInsecure || value == "security.insecure"
	case "no-context":
		req.Context = nil
	case "filename":
		req.Filename = value
	default:
		t.Fatalf("unknown option %q", key)
	}
}

func mustParse(t testing.TB, name string) v1.Platform {
	t.Helper()
	p, err := platforms.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func localContext(name string) *solver.Vertex {
	return solver.NewVertex(solver.Vertex{Op: solver.Local{Name: name, Dir: "/" + name}})
}

var _ frontend.Resolver = (*fakeResolver)(nil)

func solverLocation(file string, start, end int) solver.Location {
	return solver.Location{File: file, Start: start, End: end}
}
