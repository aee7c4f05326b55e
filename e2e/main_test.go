package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/seed-298d225e/builder/internal/testuser"
	"github.com/seed-298d225e/builder/internal/toyimage"
)

func TestMain(m *testing.M) { os.Exit(testuser.Run(m, prepare)) }

// prepare builds what the tests need: the program, and the image that scripts build on.
func prepare(ctx context.Context, dir string) error {
	for _, p := range []struct{ source, to, architecture string }{
		{"../cmd/builder", program(dir), runtime.GOARCH},
		{"./attacker", attacker(dir), runtime.GOARCH},
		{"./attacker", attackerOf(dir, "386"), "386"},
		{"./attacker", attackerOf(dir, "arm64"), "arm64"},
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", p.to, p.source)
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOARCH="+p.architecture)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w: %s", p.source, err, out)
		}
	}
	index, err := toyimage.Index(ctx, v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"})
	if err != nil {
		return err
	}
	path, err := layout.Write(toybox(dir), empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index); err != nil {
		return err
	}
	return prepareMore(ctx, dir)
}

// program is the path of builder, toybox that of a layout with the image that scripts build on.
func program(dir string) string { return filepath.Join(dir, "bin", "builder") }

// attacker is the path of the program that attacks from inside of a sandbox.
func attacker(dir string) string { return filepath.Join(dir, "attacker", "attacker") }

// attackerOf is that program for another architecture.
func attackerOf(dir, architecture string) string {
	return filepath.Join(dir, "attacker-"+architecture, "attacker")
}

func toybox(dir string) string { return filepath.Join(dir, "toybox") }
