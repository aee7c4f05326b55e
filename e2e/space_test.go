//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// buildOn builds Dockerfiles one after the other with a store on a file system in memory, and returns what the last build
// says and whether it succeeded. The others must.
func buildOn(t *testing.T, options string, dockerfiles ...string) (output string, ok bool) {
	t.Helper()
	disk, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	script := []string{fmt.Sprintf("mount -t tmpfs -o mode=700,%s tmpfs %s", options, disk)}
	for i, text := range dockerfiles {
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		build := strings.Join([]string{
			program(testuser.Dir()), "build", "--progress", "plain", "--root", filepath.Join(disk, "store"), "-o", "type=cacheonly",
			"--build-context", "toybox=oci-layout://" + toybox(testuser.Dir()),
			"--build-context", "attacker=" + filepath.Dir(attacker(testuser.Dir())), "-f", file, dir,
		}, " ")
		if i < len(dockerfiles)-1 {
			build += " || exit 99"
		}
		script = append(script, build)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--map-auto", "--map-root-user", "--mount", "sh", "-ec", strings.Join(script, "\n"))
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() == 99 {
		t.Fatalf("%s: a build that has room fails:\n%s", options, out)
	}
	return string(out), err == nil
}

// writes is a step that writes so many MiB, makes one that makes so many files.
func writes(n int) string {
	return fmt.Sprintf("FROM toybox\nRUN --mount=from=attacker,target=/x /x/attacker fill /filled %d\n", n)
}

func makes(n int) string {
	return fmt.Sprintf("FROM toybox\nRUN mkdir /d && i=0 && while [ $i -lt %d ]; do i=$((i+1)); echo > /d/$i || exit 7; done\n", n)
}

// A command that finds the disk full runs once more when what no build uses is removed, and the build says so. When that
// does not help, the error says what is the matter.
func TestFullDiskInCommand(t *testing.T) {
	for name, c := range map[string]struct {
		options     string
		dockerfiles []string
		ok          bool
		words       []string
	}{
		"room can be made": {"size=80m", []string{writes(40), writes(45)}, true, []string{
			"the disk is full: 40 MiB that no build uses were removed from the store, and the command runs once more",
		}},
		"inodes can be had": {"size=1g,nr_inodes=1500", []string{makes(700), makes(800)}, true, []string{
			"and the command runs once more",
		}},
		"not enough": {"size=60m", []string{writes(20), writes(70)}, false, []string{
			"and the command runs once more", "exit code: 1; the disk is full: the file system of the store", "MiB and", "the store holds", "'builder prune --all'", "--root",
		}},
		"nothing to remove": {"size=60m", []string{writes(70)}, false, []string{
			"exit code: 1; the disk is full: the file system of the store",
		}},
		"another failure": {"size=60m", []string{writes(5), "FROM toybox\nRUN exit 7\n"}, false, []string{
			"did not complete successfully: exit code: 7\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output, ok := buildOn(t, c.options, c.dockerfiles...)
			if ok != c.ok {
				t.Errorf("the build succeeded: %t, want %t:\n%s", ok, c.ok, output)
			}
			for _, w := range c.words {
				if !strings.Contains(output, w) {
					t.Errorf("the output lacks %q:\n%s", w, output)
				}
			}
		})
	}
}
