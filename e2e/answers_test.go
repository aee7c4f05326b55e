//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// inquiry is a Dockerfile whose commands ask the attacker's program for answers about paths.
type inquiry struct {
	dockerfile string
	// chroot: it is also for the rung chroot, where less is in /proc.
	chroot bool
}

// asking is a command that asks about paths.
func asking(paths ...string) string {
	return "/attacker answers " + strings.Join(paths, " ") + " >> /answers"
}

// people are a user, with a group and one more, and files of theirs and of others.
const people = `FROM base AS asked
COPY --from=attacker attacker /attacker
COPY <<END /etc/passwd
root:x:0:0::/:/bin/sh
app:x:1234:100::/own:/bin/sh
END
COPY <<END /etc/group
users:x:100:
team:x:55:app
END
RUN touch /answers && chmod 666 /answers && mkdir -p /tmp && chmod 1777 /tmp && mkdir -p /secret /own/dir /own/locked /sticky /team /open/dir /group
RUN for f in /secret/file /own/file /own/readable /own/script /sticky/roots /sticky/own /team/file /open/file /group/file /roots /groups /blind; do echo x > $f; done
RUN chown 0:55 /groups /team && chmod 640 /groups && chmod 700 /secret && chmod 2775 /team && chmod 777 /open && chmod 722 /blind && chown 44:55 /group && chmod 2770 /group && chown 9:9 /open/file
RUN mkdir /sticky/rootsdir /sticky/owndir && chmod 1777 /sticky && chown 1234:100 /sticky/own /sticky/owndir
RUN mkfifo /pipe && ln -s /secret/file /own/link && ln -s nowhere /own/dangling && ln -s loop /own/loop && ln -s /own /own/self && ln -s /open/made /own/makes
RUN chown -R 1234:100 /own && chmod 000 /own/locked && chmod 700 /own/script && chmod 444 /own/readable && chmod 600 /pipe && cp /bin/true /lends && chmod 4755 /lends
`

// inquiries are by name.
func inquiries() map[string]inquiry {
	const end = "\nFROM scratch\nCOPY --from=asked /answers /\n"
	const user = people + "USER app\nWORKDIR /own\nRUN mkfifo /own/pipe && "
	return map[string]inquiry{
		"user": {user + asking(
			"/roots", "/groups", "/blind", "/secret", "/secret/file", "/secret/none", "/own/file", "/own/readable", "/own/dir", "/own/locked", "/own/locked/x",
			"/sticky", "/sticky/roots", "/sticky/own", "/sticky/rootsdir", "/sticky/owndir", "/sticky/none", "/team", "/team/file", "/team/none",
			"/open", "/open/file", "/open/dir", "/group", "/group/file", "/group/none", "/own/link", "/own/dangling", "/own/loop", "/own/self/script", "/own/pipe", "/pipe",
			"/lends", "/own/none", "/none", "/own/dir/.", "/own/dir/..", "/own/dir/../..", ".", "..", "none", "/own/file/", "/own/dir/", "/roots/x", "/own/makes",
			"/secret/../own/none", "/secret/../roots", "/"+strings.Repeat("a", 256), "''",
		) + end, true},
		"process": {user + "exec 9< /roots; " + asking(
			"/etc/hosts", "/dev/null", "/dev/full", "/dev", "/dev/none", "/dev/shm", "/dev/shm/none", "/proc/self/cwd/none", "/proc/self/root/secret/file", "/proc/self/root/roots",
			"/proc/self", "/proc/1/root/secret/file", "/proc", "/",
		) + end, false},
		"changed": {people + "RUN id -u > /dev/null; chmod 755 /attacker\nUSER 77:55\nRUN " + asking("/groups", "/team/file", "/group/none", "/own/file") + end, true},
		"read only": {strings.Replace(people, "AS asked", "AS people", 1) + "FROM base AS asked\nCOPY --from=attacker attacker /attacker\n" +
			"RUN mkdir -p /tmp && touch /plain /single && mkdir /around && chmod -R 777 /around\n" +
			"WORKDIR /context\nRUN --mount=type=bind,from=people,source=/own,target=/context --mount=type=cache,target=/context/dir,sharing=private " +
			"--mount=type=bind,from=people,source=/roots,target=/single --mount=type=tmpfs,target=/memory,readonly=true touch dir/there && ln -s /context/file /into && " + asking(
			"/context/file", "/context/dir", "/context/readable", "/context/link", "/context/dangling", "/context/self", "/context/none", "/context/none/none", "/context/",
			"/context/dir/there", "/context/dir/none", "/into", "/context/dir/../file", "/context/locked", "/context/locked/.", "file", "locked", "../context/file",
			"/single", "/memory", "/memory/none", "/context/file/", "/plain", "/around", "/around/none",
		) + end, true},
	}
}

// s-answers: a user in a sandbox may do what that user may do on a machine, and what is mounted to be read cannot be changed,
// whether the kernel sees to that or the supervisor of a rung that lacks what it would need.
func TestAnswers(t *testing.T) {
	dependOnSource(t)
	for name, q := range inquiries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := answered(t, name, q, variant{"userns", runtime.GOARCH})
			if strings.Count(want, "\n") < 100 {
				t.Errorf("there are few answers:\n%s", want)
			}
			others := map[string]string{"single": answered(t, name, q, variant{"single", runtime.GOARCH})}
			if got, err := os.ReadFile(rootAnswers(testuser.Dir(), name)); err == nil { // root has started the tests
				others["chroot"] = string(got)
			}
			for rung, got := range others {
				if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
					t.Errorf("on the rung %s the answers differ from those on userns:\n%s", rung, diff)
				}
			}
			if runtime.GOARCH != "amd64" {
				return
			}
			if diff := cmp.Diff(withoutOwners(want), withoutOwners(answered(t, name, q, variant{"single", "386"}))); diff != "" {
				t.Errorf("by calls of 32 bits the answers on the rung single differ from those on userns:\n%s", diff)
			}
		})
	}
}

// withoutOwners are the answers without whose the files are that are left: calls of 32 bits do not say that.
func withoutOwners(answers string) []string {
	return slices.DeleteFunc(strings.Split(answers, "\n"), func(line string) bool { return strings.HasPrefix(line, "left: ") })
}

// answered returns the answers on a rung, given to a program of an architecture.
func answered(t *testing.T, name string, q inquiry, v variant) string {
	t.Helper()
	dir := testuser.Dir()
	program := attacker(dir)
	if v.architecture != runtime.GOARCH {
		program = attackerOf(dir, v.architecture)
	}
	store := filepath.Join(dir, "stores", "answers-"+v.sandbox+"-"+v.architecture+"-"+strings.ReplaceAll(name, " ", "-"))
	got, err := q.ask(t.Context(), dir, t.TempDir(), store, nil, "--sandbox="+v.sandbox, contextOf(program))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// contextOf is the option that has the attacker's program for a build.
func contextOf(program string) string { return "--build-context=attacker=" + filepath.Dir(program) }

// ask builds the Dockerfile in a directory and returns the answers. Before the command come the words before.
func (q inquiry) ask(ctx context.Context, dir, work, store string, before []string, args ...string) (string, error) {
	if err := errors.Join(os.MkdirAll(filepath.Dir(store), 0o755), os.WriteFile(filepath.Join(work, "Dockerfile"), []byte(q.dockerfile), 0o644)); err != nil {
		return "", err
	}
	out := filepath.Join(work, "out")
	words := slices.Concat(before, []string{
		program(dir), "build", "--progress=plain", "--root=" + store, "--build-context=base=oci-layout://" + toybox(dir), "--output=type=local,dest=" + out,
	}, args, []string{work})
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // it is the one under test
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%q: %w: %s", words, err, said)
	}
	answers, err := os.ReadFile(filepath.Join(out, "answers"))
	return string(answers), err
}

// rootAnswers is the file with the answers on the rung chroot.
func rootAnswers(dir, name string) string { return filepath.Join(dir, "root-answers", name) }

// prepareAnswers asks on the rung chroot, if root has started the tests, which do not run as root themselves.
func prepareAnswers(ctx context.Context, dir string) (err error) {
	if os.Geteuid() != 0 {
		return nil
	}
	work, err := os.MkdirTemp("", "builder-root-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.Mkdir(filepath.Join(dir, "root-answers"), 0o755); err != nil {
		return err
	}
	way := wayChroot()
	for name, q := range inquiries() {
		if !q.chroot {
			continue
		}
		got, err := q.ask(ctx, dir, work, filepath.Join(work, "store"), way.before, append(way.args, contextOf(attacker(dir)))...)
		if err != nil {
			return err
		}
		if err := os.WriteFile(rootAnswers(dir, name), []byte(got), 0o644); err != nil {
			return err
		}
	}
	return nil
}
