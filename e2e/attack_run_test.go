//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// attack is a Dockerfile whose command is the attacker's.
func attack(args ...string) string {
	return "FROM TOYBOX\n" + attackStep(args...)
}

func attackStep(args ...string) string {
	return "RUN --mount=from=attacker,target=/x [\"/x/attacker\", \"" + strings.Join(args, `", "`) + "\"]\n"
}

// hostileCommands are Dockerfiles by name.
func hostileCommands() map[string]string {
	return map[string]string{
		"s-escape":     attack("escape", "GUARDED/secret"),
		"s-outside":    attack("outside", "GUARDED/secret"),
		"s-chain":      attack("chain"),
		"s-shed":       attack("shed"),
		"s-fds":        attack("descriptors"),
		"s-tty":        attack("terminal"),
		"s-caps":       attack("privileges", "CapInh=0000000000000000", "CapPrm=00000000a80425fb", "CapEff=00000000a80425fb", "CapBnd=00000000a80425fb", "CapAmb=0000000000000000", "Seccomp=2"),
		"s-caps-user":  "FROM TOYBOX\nUSER 1000\n" + attackStep("privileges", "CapInh=0000000000000000", "CapPrm=0000000000000000", "CapEff=0000000000000000", "CapAmb=0000000000000000", "Seccomp=2"),
		"s-seccomp":    attack("calls"),
		"s-masks":      attack("hidden"),
		"s-env":        attack("environment", "the-canary-sings"),
		"s-killall":    attack("kill"),
		"s-daemon":     attack("leave", "3"),
		"s-forks":      attack("leave", "400"),
		"s-closed":     attack("close"),
		"s-ptrace":     attack("trace"),
		"s-suid":       "FROM TOYBOX\nCOPY --from=attacker --chmod=4755 attacker /suid\nUSER 1000\nRUN [\"/suid\", \"root\"]\n",
		"s-race":       "FROM TOYBOX\nRUN echo open > /open && echo secret > /shut && chmod 600 /shut\nUSER 1000\n" + attackStep("race", "/open", "/shut"),
		"s-own-binary": attack("absent", "/proc/1/root/GUARDED", "/builder"),
	}
}

// variant is a way to run them all.
type variant struct {
	// sandbox is the rung, architecture that of the attacker's program.
	sandbox, architecture string
}

// lacks reports whether something is not tried in a way, as docs/SANDBOX.md says.
func (v variant) lacks(name string) bool {
	switch {
	case v.sandbox == "single":
		return name == "s-caps-user" // there the kernel knows root only
	case v.architecture == "arm64":
		return name == "s-ptrace" // of which the emulator knows nothing
	}
	return false
}

// run runs one of them. The emulator is the machine's own program for arm64.
func (v variant) run(t *testing.T, registry, dockerfile string) {
	t.Helper()
	a := newAttempt(t, registry)
	args := []string{"--sandbox", v.sandbox, "-o", "type=cacheonly"}
	if v.architecture != runtime.GOARCH {
		a.attacker = attackerOf(testuser.Dir(), v.architecture)
	}
	if v.architecture == "arm64" {
		args = append(args, "--platform", "linux/arm64")
		dockerfile = strings.Replace(dockerfile, `"400"`, `"20"`, 1) // emulators are large
	}
	// By this variable a process that is left behind is known.
	mark := "FROM TOYBOX\nENV ATTEMPT=" + filepath.Base(a.store) + "\n"
	a.built(a.build(strings.Replace(dockerfile, "FROM TOYBOX\n", mark, 1), args...))
	if v.architecture == runtime.GOARCH {
		a.works()
	}
}

// What a command tries in its sandbox, see the package of the attacker's program: with calls of this machine's ABI
// (s-*), of one of 32 bits (s-i386) and through an emulator (s-arm64).
func TestHostileCommands(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	variants := []variant{{"userns", runtime.GOARCH}, {"single", runtime.GOARCH}}
	if runtime.GOARCH == "amd64" {
		variants = append(variants, variant{"userns", "386"}, variant{"single", "386"}, variant{"userns", "arm64"})
	}
	for _, v := range variants {
		for name, dockerfile := range hostileCommands() {
			if v.lacks(name) {
				continue
			}
			t.Run(name+"/"+v.sandbox+"/"+v.architecture, func(t *testing.T) {
				t.Parallel()
				v.run(t, registry, dockerfile)
			})
		}
	}
}

// What listens on the machine's loopback addresses or has an abstract name cannot be reached from a network of
// the command's own.
func TestHostLoopback(t *testing.T) {
	if _, err := exec.LookPath("pasta"); err != nil {
		t.Fatal("the test needs pasta: apt-get install passt")
	}
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	abstract := fmt.Sprintf("@builder-attack-%d", os.Getpid())
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", abstract)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(registry)
	if err != nil {
		t.Fatal(err)
	}
	reach := attack("reach", "unix="+abstract, "tcp="+registry, "tcp=[::1]:"+port, "tcp=10.0.2.2:"+port, "tcp=169.254.1.1:"+port)
	for _, network := range []string{"default", "none"} {
		t.Run("network="+network, func(t *testing.T) {
			a := newAttempt(t, registry)
			a.built(a.build(reach, "--network", network, "-o", "type=cacheonly"))
		})
	}
}

// A command that writes a lot without an end of line costs the builder little memory.
func TestSpam(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	r := a.build(attack("spam", "50"), "-o", "type=cacheonly")
	a.built(r)
	if r.memory > 200<<20 {
		t.Errorf("the builder took %d MiB", r.memory>>20)
	}
	a.works()
}

// A secret of one command is in no file, no output and no other command.
func TestSecretStaysSecret(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	const value = "correct-horse-battery-staple"
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	r := a.build(`FROM TOYBOX
RUN --mount=type=secret,id=word,env=WORD --mount=type=secret,id=word test "$WORD" = "$(cat /run/secrets/word)"
RUN --mount=type=tmpfs,target=/run/secrets2 test ! -e /run/secrets/word
`+attackStep("environment", "horse-battery"), "--secret", "id=word,src="+file, "--provenance=mode=max",
		"-o", "type=oci,tar=false,compression=uncompressed,dest="+filepath.Join(out, "image"), "--metadata-file", filepath.Join(out, "metadata"))
	a.built(r)
	a.silent(value, r, out)
}

// A limit that a command meets is named. It needs control groups that the tests' user may use; where there are
// none, each process is limited.
func TestLimits(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	a.refused(a.build(attack("limits", "memory", "400"), "--memory", "64m", "-o", "type=cacheonly"), "memory")
	a.works()
}

// s-pids: a command that starts processes without an end is refused one, with or without control groups, and by
// default too.
func TestForkBomb(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for _, sandbox := range []string{"userns", "single"} {
		t.Run(sandbox, func(t *testing.T) {
			a := newAttempt(t, registry)
			a.built(a.build(attack("bomb", "1000"), "--sandbox", sandbox, "--pids-limit", "200", "-o", "type=cacheonly"))
			a.built(a.build("FROM TOYBOX\nRUN test \"$(ulimit -u)\" -le 8192\n", "--sandbox", sandbox, "-o", "type=cacheonly"))
			a.works()
		})
	}
}
