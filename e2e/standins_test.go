//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// standIns makes images of Debian's packages that stand in for those of registries which tests do not reach.
// They are layouts, and kept between runs like the store that they are made in.
type standIns struct {
	debian, store string
	// host is a directory with what makes Debian's mirror be reached, goproxy where Go modules are.
	host, goproxy string
}

// newStandIns makes the layout of Debian, for all architectures, that the others build on.
func newStandIns(t *testing.T) *standIns {
	t.Helper()
	apt := aptConfig(t)
	certificates, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(apt, "ca-certificates.crt"), string(certificates))
	s := &standIns{
		debian: filepath.Join(keptDir(), suite+"-layout"), store: filepath.Join(keptDir(), "store"),
		host: apt, goproxy: strings.TrimSpace(output(t, filepath.Join(goroot(testuser.Dir()), "bin", "go"), "env", "GOPROXY")),
	}
	keep(t, s.debian, func(path string) { writeLayout(t, path, debianIndex(t, apt)) })
	return s
}

// keep lets something be made at a path unless it is there. What is there is complete.
func keep(t *testing.T, path string, create func(path string)) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	unfinished := path + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		t.Fatal(err)
	}
	create(unfinished)
	if err := os.Rename(unfinished, path); err != nil {
		t.Fatal(err)
	}
}

func writeLayout(t *testing.T, path string, index v1.ImageIndex) {
	t.Helper()
	l, err := layout.Write(path, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
}

// image returns the layout of a stand-in for platforms, which is made if it is not there or was made of
// something else.
func (s *standIns) image(t *testing.T, stage, platforms string) string {
	t.Helper()
	dir := filepath.Join(keptDir(), "standins", strings.NewReplacer("/", "-", ",", "-").Replace(stage+"-"+platforms))
	path := filepath.Join(dir, recipe(t))
	keep(t, path, func(path string) {
		old, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range old {
			if err := os.RemoveAll(o); err != nil {
				t.Fatal(err)
			}
		}
		runBuilder(t, s.store, nil, "--platform", platforms, "--target", stage,
			"--build-context", "debian=oci-layout://"+s.debian, "--build-context", "host="+s.host,
			"--build-context", "goroot="+goroot(testuser.Dir()), "--build-arg", "GOPROXY="+s.goproxy,
			"--output", "type=oci,tar=false,compression=zstd,dest="+path, filepath.Join("testdata", "standins"))
	})
	return path
}

// recipe returns a digest of what stand-ins are made of.
func recipe(t *testing.T) string {
	t.Helper()
	h := sha256.New()
	root := os.DirFS("testdata/standins")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, path)
		h.Write([]byte(path + "\x00" + string(text) + "\x00"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
