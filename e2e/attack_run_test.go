//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// attack is a Dockerfile whose command is the attacker's.
func attack(args ...string) string {
	return "FROM TOYBOX\n" + attackStep(args...)
}

func attackStep(args ...string) string {
	return "RUN --mount=from=attacker,target=/x [\"/x/attacker\", \"" + strings.Join(args, `", "`) + "\"]\n"
}

// What a command tries in its sandbox, see the package of the attacker's program.
func TestHostileCommands(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	attacks := map[string]string{
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
		"s-suid":       "FROM TOYBOX\nCOPY --from=attacker --chmod=4755 attacker /suid\nUSER 1000\nRUN [\"/suid\", \"root\"]\n",
		"s-own-binary": attack("absent", "/proc/1/root/GUARDED", "/builder"),
	}
	for _, sandbox := range []string{"userns", "single"} {
		for name, dockerfile := range attacks {
			if name == "s-caps-user" && sandbox == "single" {
				continue // there the kernel knows root only, see docs/SANDBOX.md
			}
			t.Run(name+"/"+sandbox, func(t *testing.T) {
				t.Parallel()
				a := newAttempt(t, registry)
				// By this variable a process that is left behind is known.
				mark := "FROM TOYBOX\nENV ATTEMPT=" + filepath.Base(a.store) + "\n"
				a.built(a.build(strings.Replace(dockerfile, "FROM TOYBOX\n", mark, 1), "--sandbox", sandbox, "-o", "type=cacheonly"))
				a.works()
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
	if r.memory > 500<<20 {
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
