//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hostileContext is a Dockerfile and a context that attack who builds them.
type hostileContext struct {
	name string
	// set prepares the context.
	set        func(a *attempt)
	dockerfile string
	args       []string
	// refusal is what the error must say; built: it must be built; neither: either is right as long as
	// nothing happens.
	refusal string
	built   bool
}

func nothingToSet(*attempt) {}

// hostileContexts are cases whose Dockerfiles have GUARDED for the directory that must not be touched and
// TOYBOX for the base image.
func hostileContexts() []hostileContext {
	const run = "RUN --mount=from=attacker,target=/x [\"/x/attacker\", \"nothing\"]\n"
	return []hostileContext{
		{name: "c-copy-sym", set: func(a *attempt) { a.link(a.secret(), "l") }, dockerfile: "FROM scratch\nCOPY l /l\n"},
		{name: "c-copy-symrel", set: func(a *attempt) { a.link("../guarded/secret", "l") }, dockerfile: "FROM scratch\nCOPY l /l\n"},
		{name: "c-copy-symdir", set: func(a *attempt) { a.link(a.guarded, "d") }, dockerfile: "FROM scratch\nCOPY d/secret /l\n"},
		{name: "c-copy-symslash", set: func(a *attempt) { a.link(a.guarded, "d") }, dockerfile: "FROM scratch\nCOPY d/ /d/\n"},
		{name: "c-copy-glob", set: func(a *attempt) { a.link(a.guarded, "d") }, dockerfile: "FROM scratch\nCOPY d/s* /d/\n"},
		{name: "c-copy-dotdot", set: nothingToSet, dockerfile: "FROM scratch\nCOPY ../guarded/secret /l\n"},
		{name: "c-copy-dest", set: func(a *attempt) { a.write("f", payload) }, dockerfile: "FROM TOYBOX AS b\nRUN ln -s GUARDED /out\nFROM b\nCOPY f /out/pwn\n" + run, built: true},
		{name: "c-ignore-fifo", set: func(a *attempt) { a.fifo(".dockerignore") }, dockerfile: "FROM scratch\nCOPY Dockerfile /\n"},
		{name: "c-ignore-sym", set: func(a *attempt) { a.link(a.secret(), ".dockerignore") }, dockerfile: "FROM scratch\nCOPY Dockerfile /\n"},
		{name: "c-special", set: func(a *attempt) { a.fifo("pipe"); a.socket("s") }, dockerfile: "FROM scratch\nCOPY . /\n"},
		{name: "c-from-sym", set: nothingToSet, dockerfile: "FROM TOYBOX AS b\nRUN ln -s GUARDED/secret /l\nFROM scratch\nCOPY --from=b /l /l\n"},
		{name: "c-from-sym2", set: nothingToSet, dockerfile: "FROM TOYBOX AS b\nRUN ln -s GUARDED /l\nFROM scratch\nCOPY --from=b /l/secret /l\n", refusal: "not found"},
		{name: "c-bind-sym", set: nothingToSet, dockerfile: "FROM TOYBOX AS b\nRUN ln -s GUARDED /l\nFROM TOYBOX\nRUN --mount=from=b,source=/l,target=/m cat /m/secret\n", refusal: "not found"},
		{name: "c-bind-ctx", set: func(a *attempt) { a.link(a.guarded, "d") }, dockerfile: "FROM TOYBOX\nRUN --mount=source=d,target=/m cat /m/secret\n", refusal: "d"},
		{name: "c-mount-target", set: nothingToSet, dockerfile: "FROM TOYBOX AS b\nRUN ln -s GUARDED /out\nFROM b\nRUN --mount=type=tmpfs,target=/out/new touch /out/new/x\n", built: true},
		{name: "c-mount-proc", set: nothingToSet, dockerfile: "FROM TOYBOX\nRUN --mount=type=tmpfs,target=/proc true\n", refusal: "/proc"},
		{name: "c-bind-rw", set: func(a *attempt) { a.write("kept/f", "as it was") }, dockerfile: "FROM TOYBOX\nRUN --mount=target=/m,rw echo pwned > /m/kept/f\n", built: true},
		{name: "c-cache-id", set: nothingToSet, dockerfile: "FROM TOYBOX\nRUN --mount=type=cache,id=../../../../GUARDED,target=/m touch /m/pwn\n", built: true},
		{name: "c-cache-src", set: nothingToSet, dockerfile: "FROM TOYBOX\nRUN --mount=type=cache,target=/m,source=../../.. ls /m && touch /m/pwn\n"},
		{name: "c-cache-sym", set: nothingToSet, dockerfile: "FROM TOYBOX\nRUN --mount=type=cache,id=x,target=/m ln -s GUARDED /m/l\nRUN --mount=type=cache,id=x,source=l,target=/m touch /m/pwn\n", refusal: "l"},
		{name: "c-stub", set: nothingToSet, dockerfile: "FROM TOYBOX\nRUN --mount=type=tmpfs,target=/a/empty --mount=type=tmpfs,target=/a/nothing mv /a /b && ln -s GUARDED /a; true\n"},
		{name: "c-propagation", set: nothingToSet, dockerfile: "FROM TOYBOX\nRUN --mount=type=bind,target=/m,bind-propagation=shared true\n", refusal: "bind-propagation"},
		{name: "c-add-name", set: nothingToSet, dockerfile: "FROM scratch\nADD http://REGISTRY/..%2f..%2fGUARDED%2fpwn /\n"},
		{name: "c-git-ext", set: nothingToSet, dockerfile: "FROM scratch\nADD ext::sh%20-c%20touch%20GUARDED/pwn.git /\n"},
		{name: "c-git-opt", set: nothingToSet, dockerfile: "FROM scratch\nADD git@-oProxyCommand=touch${IFS}GUARDED/pwn:x.git /\n"},
		{name: "c-cycle", set: nothingToSet, dockerfile: "FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b\nCOPY --from=a / /\n", refusal: ""},
		{name: "c-nul", set: nothingToSet, dockerfile: "FROM scratch\nCOPY a\x00b /\n", refusal: "Dockerfile"},
		{name: "c-esc-log", set: nothingToSet, dockerfile: "FROM TOYBOX\nENV A=\"\x1b]0;title\a\"\nRUN true \x1b]0;title\a\n"},
		{name: "c-badref", set: nothingToSet, dockerfile: "FROM REGISTRY/../../GUARDED\n", refusal: "Dockerfile"},
		{name: "c-workdir", set: nothingToSet, dockerfile: "FROM TOYBOX\nWORKDIR ../../../../GUARDED/new\n" + run, built: true},
		{name: "t-workdir-sym", set: nothingToSet, dockerfile: "FROM TOYBOX AS b\nRUN ln -s GUARDED /out\nFROM b\nWORKDIR /out/new\n" + run, built: true},
		{name: "t-workdir-fd", set: nothingToSet, dockerfile: "FROM TOYBOX\nWORKDIR /proc/self/fd/7\nRUN cat ../../../../../../GUARDED/secret\n", refusal: ""},
		{name: "c-local-out", set: func(a *attempt) { a.link(a.guarded, "out") }, dockerfile: "FROM scratch\nCOPY Dockerfile /out/pwn\n", args: []string{"-o", "type=local,dest=."}},
		{name: "c-local-sym", set: nothingToSet, dockerfile: "FROM TOYBOX\nRUN ln -s GUARDED /l\nCOPY Dockerfile /l/pwn\n", args: []string{"-o", "type=local,dest=exported"}},
		{name: "c-secret-env", set: func(a *attempt) { a.write("kept/f", canary[:0]) }, dockerfile: "FROM TOYBOX\nRUN --mount=type=secret,id=absent,env=WORD,required true\n", refusal: "absent"},
		{name: "c-add-file-url", set: nothingToSet, dockerfile: "FROM scratch\nADD file://GUARDED/secret /l\n"},
		{name: "c-secret-missing", set: nothingToSet, dockerfile: "FROM TOYBOX\nRUN --mount=type=secret,id=absent,required true\n", refusal: "absent"},
	}
}

func (a *attempt) fifo(name string) {
	a.t.Helper()
	if err := unix.Mkfifo(filepath.Join(a.dir, name), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

func (a *attempt) socket(name string) {
	a.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(a.t.Context(), "unix", filepath.Join(a.dir, name))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = l.Close() })
}

// Dockerfiles and contexts as a pull request could bring them.
func TestHostileContexts(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for _, h := range hostileContexts() {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, registry)
			h.set(a)
			before := a.contextText()
			image := filepath.Join(t.TempDir(), "image")
			args := h.args
			if args == nil {
				args = readable(image)
			}
			r := a.build(h.dockerfile, args...)
			switch {
			case h.refusal != "":
				a.refused(r, h.refusal)
			case h.built:
				a.built(r)
			}
			if strings.Contains(r.output, "\x1b]") {
				t.Errorf("an escape sequence reached the output: %q", r.output)
			}
			if after := a.contextText(); h.args == nil && after != before {
				t.Errorf("the context has changed from %q to %q", before, after)
			}
			if _, err := os.Stat(image); err == nil {
				a.silent(canary, r, image)
			} else {
				a.silent(canary, r)
			}
			a.works()
		})
	}
}

// c-dockerfile-sym: a Dockerfile that is a link out of the context is not read, and what it leads to is not shown; nor
// is one that is a FIFO waited for. One that -f names is the user's choice, wherever it leads.
func TestHostileDockerfiles(t *testing.T) {
	registry := startRegistry(t)
	for name, set := range map[string]func(a *attempt){
		"link": func(a *attempt) { a.link(a.secret(), "Dockerfile") },
		"fifo": func(a *attempt) { a.fifo("Dockerfile") },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttempt(t, registry)
			set(a)
			r := a.run("build", "--progress", "plain", "-o", "type=cacheonly", ".")
			a.refused(r, "Dockerfile")
			if strings.Contains(r.output, canary) {
				t.Errorf("the output shows what is elsewhere:\n%s", r.output)
			}
			a.check()
		})
	}
}

// readable are the options for an image in a directory in which everything can be found.
func readable(dir string) []string {
	return []string{"-o", "type=oci,tar=false,compression=uncompressed,dest=" + dir}
}

// A directory of the context that becomes a link to elsewhere and back, a thousand times a second, while it is
// copied: what is elsewhere is never in the image.
func TestContextChangesUnderneath(t *testing.T) {
	registry := startRegistry(t)
	a := newAttempt(t, registry)
	a.write("d/secret", "harmless")
	d, away := filepath.Join(a.dir, "d"), filepath.Join(a.dir, "away")
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			_ = os.Rename(d, away)
			_ = os.Symlink(a.guarded, d)
			_ = os.Remove(d)
			_ = os.Rename(away, d)
		}
	}()
	for i := range 8 {
		image := filepath.Join(t.TempDir(), "image")
		r := a.build("FROM scratch\nCOPY d/ /d/\nADD d/secret /s\n", append(readable(image), "--build-arg", fmt.Sprintf("I=%d", i), "--no-cache")...)
		if r.code == 0 {
			a.silent(canary, r, image)
		}
	}
	close(done)
	<-stopped
}

// contextText is what the ordinary files of the context hold, but for the Dockerfile.
func (a *attempt) contextText() string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(a.dir, "*", "*"))
	for _, f := range files {
		if content, err := os.ReadFile(f); err == nil {
			fmt.Fprintf(&b, "%s=%s\n", f, content)
		}
	}
	return b.String()
}

// Dockerfiles that are meant to exhaust who reads them end with an error at a line, soon and in little memory.
func TestBombs(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	expand := "FROM scratch\nENV A0=0123456789\n"
	for i := range 60 {
		expand += fmt.Sprintf("ENV A%d=$A%d$A%d\n", i+1, i, i)
	}
	for name, dockerfile := range map[string]string{
		"c-line-bomb": "FROM scratch\nLABEL a=" + strings.Repeat("x", 20<<20) + "\n",
		"c-insn-bomb": "FROM scratch\n" + strings.Repeat("LABEL a=b\n", 50_000),
		"c-arg-bomb":  expand,
		"c-nest-bomb": "FROM scratch\nENV A=" + strings.Repeat("${a:-", 100_000) + strings.Repeat("}", 100_000) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttempt(t, registry)
			r := a.build(dockerfile, "-o", "type=cacheonly")
			a.refused(r)
			if len(r.output) > 1<<20 || r.memory > 800<<20 || r.took > time.Minute {
				t.Errorf("it took %s, %d MiB and %d bytes of output", r.took, r.memory>>20, len(r.output))
			}
			a.works()
		})
	}
}
