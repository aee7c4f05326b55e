package toyimage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Program builds the toybox for a platform and returns the path of the executable, which must not be
// changed. What was built before, by any process, is used again. The module's source must be at or above
// the working directory, as it is in its tests.
func Program(ctx context.Context, p v1.Platform) (string, error) {
	source, err := findSource()
	if err != nil {
		return "", err
	}
	target, err := environment(p)
	if err != nil {
		return "", err
	}
	path, err := cachePath(source, target)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := build(ctx, source, target, path); err != nil {
		return "", fmt.Errorf("building the toybox for %s: %w", p, err)
	}
	return path, nil
}

// findSource returns the directory of the toybox's source.
func findSource() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		source := filepath.Join(dir, "testdata", "toybox")
		if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
			return source, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding the toybox: the working directory is not in the source of builder")
		}
		dir = filepath.Dir(dir)
	}
}

// environment returns the variables that make the go command build for p.
func environment(p v1.Platform) ([]string, error) {
	if p.OS != "linux" {
		return nil, fmt.Errorf("building the toybox for %s: it runs on linux only", p)
	}
	env := []string{"CGO_ENABLED=0", "GOWORK=off", "GOOS=linux", "GOARCH=" + p.Architecture}
	switch number := strings.TrimPrefix(p.Variant, "v"); p.Architecture {
	case "arm":
		if number == "" {
			number = "7"
		}
		env = append(env, "GOARM="+number)
	case "amd64":
		if number == "" {
			number = "1"
		}
		env = append(env, "GOAMD64=v"+number)
	}
	return env, nil
}

// cachePath returns where the program is to be kept: named by all it is made of.
func cachePath(source string, target []string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), target)
	err := filepath.WalkDir(source, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d %s\n", e.Name(), len(data), data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading the toybox: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("builder-%d", os.Getuid()))
	}
	return filepath.Join(cache, "builder-toybox", fmt.Sprintf("%x", h.Sum(nil)[:16])), nil
}

// build makes the program appear whole at path.
func build(ctx context.Context, source string, target []string, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left does no harm
	made := filepath.Join(dir, "toybox")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", made, ".")
	cmd.Dir = source
	cmd.Env = append(cmd.Environ(), target...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return os.Rename(made, path)
}
