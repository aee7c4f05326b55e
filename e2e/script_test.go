package e2e

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// The scripts in testdata/script, whose README says what they can use.
func TestScript(t *testing.T) {
	dependOnSource(t)
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	testscript.Run(t, testscript.Params{
		Dir:                 "../testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup:               func(e *testscript.Env) error { return setUp(e, registry) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"answer": answer, "exits": exits, "waitfor": waitFor, "gone": gone, "validate": validateImage,
			"config": printConfig, "content": printContent, "files": printFiles, "layered": layered,
		},
	})
}

// setUp gives a script its environment.
func setUp(e *testscript.Env, registry string) error {
	dir := testuser.Dir()
	script := strings.TrimPrefix(filepath.Base(e.WorkDir), "script-")
	e.Setenv("PATH", filepath.Dir(program(dir))+":"+os.Getenv("PATH"))
	e.Setenv("HOME", filepath.Join(e.WorkDir, ".home"))
	e.Setenv("BUILDER", program(dir))
	e.Setenv("REGISTRY", registry)
	e.Setenv("TOYBOX", toybox(dir))
	// Not below $WORK, which could not be removed then: the store has files of subordinate users.
	e.Setenv("BUILDER_ROOT", filepath.Join(dir, "stores", script))
	e.Defer(func() { wantSoundAfter(e) })
	return os.MkdirAll(e.Getenv("HOME"), 0o700)
}

// wantSoundAfter checks that all in the store of a script that has ended is as it was made.
func wantSoundAfter(e *testscript.Env) {
	out, err := exec.Command(e.Getenv("BUILDER"), "fsck", "--root", e.Getenv("BUILDER_ROOT")).CombinedOutput() //nolint:noctx // it ends by itself
	if err != nil {
		e.T().Fatal(fmt.Sprintf("the store of the script: %v\n%s", err, out))
	}
}

// dependOnSource reads all directories of the source, so that the go command runs the test again after a
// change, although the program is not part of the test binary.
func dependOnSource(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != ".." {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// startRegistry starts builder's registry and returns its address. It ends with the test.
func startRegistry(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(program(testuser.Dir()), "registry", "--listen", "127.0.0.1:0", t.TempDir()) //nolint:noctx // see below
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the registry: %v", err)
		}
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// pushToybox pushes the image that scripts build on.
func pushToybox(t *testing.T, to string) {
	t.Helper()
	ref, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	path, err := layout.FromPath(toybox(testuser.Dir()))
	if err != nil {
		t.Fatal(err)
	}
	index, err := only(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// only returns the one index in a layout.
func only(path layout.Path) (v1.ImageIndex, error) {
	all, err := path.ImageIndex()
	if err != nil {
		return nil, err
	}
	m, err := all.IndexManifest()
	if err != nil {
		return nil, err
	}
	return all.ImageIndex(m.Manifests[0].Digest)
}
