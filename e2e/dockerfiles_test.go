//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"golang.org/x/tools/txtar"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// project is a small project for one of the Dockerfiles in testdata/dockerfiles, from testdata/projects.
type project struct {
	// options are those of the build, environment the variables that it gets.
	options, environment []string
	// images are lines: the name of an image, the stage that stands in for it, its platforms.
	images []string
	// check is what a Dockerfile that builds on the result does; if it is empty, the command of the image is run.
	check string
	// want are lines that this must print.
	want []string
	// dir is the context.
	dir string
}

// Dockerfiles as they are written for real are built to the end, and what they make is run.
func TestDockerfiles(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the images that stand in for others are made for amd64, with a compiler for arm64")
	}
	files, err := filepath.Glob("../testdata/dockerfiles/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %v, %v", files, err)
	}
	s, web := newStandIns(t), startWeb(t)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			p := readProject(t, name)
			writeFile(t, filepath.Join(p.dir, "Dockerfile"), string(section(t, file, "Dockerfile")))
			p.environment = append(p.environment, web...)
			p.run(t, s)
		})
	}
}

// readProject writes the files of a project to a context.
func readProject(t *testing.T, name string) *project {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "projects", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	p := &project{dir: t.TempDir()}
	for _, f := range archive.Files {
		text := strings.TrimSpace(string(f.Data))
		switch f.Name {
		case "options":
			p.options = strings.Split(text, "\n")
		case "environment":
			p.environment = strings.Split(text, "\n")
		case "images":
			p.images = strings.Split(text, "\n")
		case "check":
			p.check = text
		case "want":
			p.want = strings.Split(text, "\n")
		default:
			path := filepath.Join(p.dir, f.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

// section returns a file of a txtar archive.
func section(t *testing.T, archive, name string) []byte {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	t.Fatalf("%s has no %s", archive, name)
	return nil
}

// run builds the project and then what checks it. No result of an earlier run is used, so all steps are run.
func (p *project) run(t *testing.T, s *standIns) {
	built := filepath.Join(t.TempDir(), "built")
	args := []string{"--no-cache", "--output", "type=oci,tar=false,dest=" + built}
	for _, line := range p.images {
		f := strings.Fields(line)
		args = append(args, "--build-context", f[0]+"=oci-layout://"+s.image(t, f[1], f[2]))
	}
	args = append(append(args, p.options...), p.dir)
	runBuilder(t, s.store, p.environment, args...)

	config := configOf(t, built)
	check := p.check
	if check == "" {
		command, err := json.Marshal(append(config.Config.Entrypoint, config.Config.Cmd...))
		if err != nil {
			t.Fatal(err)
		}
		check = "RUN " + string(command)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "Dockerfile"), "FROM built\n"+check+"\n")
	got := runBuilder(t, s.store, nil, "--no-cache", "--platform", config.Platform().String(),
		"--build-context", "built=oci-layout://"+built, "--output", "type=cacheonly", dir)
	for _, want := range p.want {
		if !regexp.MustCompile(`(?m)^#\d+ [0-9.]+ ` + regexp.QuoteMeta(want) + `$`).MatchString(got) {
			t.Errorf("it does not print %q:\n%s", want, got)
		}
	}
}

// configOf returns the config of the only image in a layout.
func configOf(t *testing.T, dir string) *v1.ConfigFile {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		t.Fatalf("%s has %v, %v", dir, m, err)
	}
	image, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// runBuilder builds with variables besides those of the tests and returns what builder says.
func runBuilder(t *testing.T, store string, variables []string, args ...string) string {
	t.Helper()
	// What this store keeps outlives the tests, so it is bounded.
	args = append([]string{"build", "--progress", "plain", "--max-storage", "12GB"}, args...)
	cmd := exec.CommandContext(t.Context(), program(testuser.Dir()), args...)
	cmd.Env = append(append(os.Environ(), "BUILDER_ROOT="+store, "NO_COLOR=1"), variables...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("builder %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
