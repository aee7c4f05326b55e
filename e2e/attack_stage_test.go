//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// pull returns an image of the test's registry.
func (a *attempt) pull(repository string) v1.Image {
	a.t.Helper()
	ref, err := name.ParseReference(a.registry + "/" + repository)
	if err != nil {
		a.t.Fatal(err)
	}
	image, err := remote.Image(ref, remote.WithContext(a.t.Context()))
	if err != nil {
		a.t.Fatal(err)
	}
	return image
}

// t-caps, t-acl, t-selinux, t-case: what a layer says of its files beyond their modes, and what comes out when they are
// copied to another image. Capabilities are those of the image's root whoever wrote them; labels that the security
// modules of a machine make are dropped.
func TestAttributesOfLayers(t *testing.T) {
	const (
		bits = "\x00\x20\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // CAP_NET_RAW, see capabilities(7)
		own  = "\x01\x00\x00\x02" + bits
		// foreign is of version 3, which says whose root it is for: 12345.
		foreign = "\x01\x00\x00\x03" + bits + "\x39\x30\x00\x00"
		// acl lets group 7 read too, see posix_acl_xattr.h of Linux.
		acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x04\x00\x04\x00\xff\xff\xff\xff" +
			"\x08\x00\x04\x00\x07\x00\x00\x00" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff"
	)
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	h := hostile{name: "attributes", layers: [][]tar.Header{{
		xattr(file("own"), "security.capability", own), xattr(file("foreign"), "security.capability", foreign),
		xattr(file("acl"), "system.posix_acl_access", acl), xattr(file("label"), "security.selinux", "system_u:object_r:etc_t:s0\x00"),
		xattr(file("user"), "user.colour", "red"), file("Name"), file("name"), file("caf\u00e9"), file("cafe\u0301"),
	}}}
	h.push(t, a)
	a.built(a.build("FROM REGISTRY/attributes AS a\nFROM scratch\nCOPY --from=a / /\n", "-t", registry+"/copied"))
	files := filesOf(t, a.pull("copied"))
	for name, want := range map[string]string{
		"own security.capability": own, "foreign security.capability": own, "acl system.posix_acl_access": acl,
		"label security.selinux": "", "user user.colour": "red",
	} {
		path, attribute, _ := strings.Cut(name, " ")
		h := files[path].header
		if h == nil || h.PAXRecords["SCHILY.xattr."+attribute] != want {
			t.Errorf("%s: the file is %+v, want %q", name, h, want)
		}
	}
	for _, name := range []string{"Name", "name", "caf\u00e9", "cafe\u0301"} {
		if files[name].header == nil {
			t.Errorf("%q is missing", name)
		}
	}
	a.works()
}

// c-onbuild: instructions that a base image brings may do what those of a Dockerfile may. Each is built, or refused
// with some words, or either.
func TestHostileTriggers(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for i, c := range []struct{ trigger, ends string }{
		{"COPY ../guarded/secret /l", ""},
		{"COPY link /l", ""},
		{"RUN --mount=target=/m,rw echo pwned > /m/kept/f", "built"},
		{"RUN --mount=source=link,target=/m cat /m", "link"},
		{"RUN --mount=type=tmpfs,target=/proc true", "/proc"},
		{"RUN --security=insecure true", "insecure"},
		{"ADD http://REGISTRY/..%2f..%2fGUARDED%2fpwn /", ""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			a := newAttempt(t, registry)
			base := fmt.Sprintf("onbuild%d", i)
			a.built(a.build("FROM TOYBOX\nONBUILD "+c.trigger+"\n", "-t", registry+"/"+base))
			a.link(a.secret(), "link")
			a.write("kept/f", "as it was")
			before := a.contextText()
			r := a.build("FROM REGISTRY/"+base+"\n", readable(filepath.Join(t.TempDir(), "image"))...)
			switch {
			case c.ends == "built":
				a.built(r)
			case c.ends != "":
				a.refused(r, c.ends)
			}
			if after := a.contextText(); after != before {
				t.Errorf("the context has changed from %q to %q", before, after)
			}
			a.silent(canary, r)
		})
	}
}

// c-key-poison: images with the same layers and other settings are other images for the cache (CVE-2024-24557).
func TestPoisonedKeys(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	push := func(repository string, change func(c *v1.Config)) {
		t.Helper()
		config, err := toyboxImage(t).ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		change(&config.Config)
		image, err := mutate.Config(toyboxImage(t), config.Config)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(registry + "/" + repository)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, image, remote.WithContext(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	push("plain", func(*v1.Config) {})
	push("env", func(c *v1.Config) { c.Env = append(c.Env, "WHO=evil") })
	push("user", func(c *v1.Config) { c.User = "1000" })
	push("shell", func(c *v1.Config) { c.Shell = []string{"/bin/sh", "-e", "-c"} })
	push("dir", func(c *v1.Config) { c.WorkingDir = "/tmp" })
	seen := map[string]string{}
	for _, repository := range []string{"plain", "env", "user", "shell", "dir", "plain"} {
		r := a.build("FROM REGISTRY/"+repository+"\nRUN echo \"told $WHO $(id -u) $(pwd) $-\"\n", "-o", "type=cacheonly")
		a.built(r)
		if again := seen[repository] != ""; again == strings.Contains(r.output, ": 1 step run") {
			t.Errorf("%s: the step ran, or did not:\n%s", repository, r.output)
		}
		seen[repository] = r.output
	}
}

// c-race-cache: a path into a cache that another command turns into a link out and back, all the time, never leads out
// (CVE-2024-23651).
func TestCacheChangesUnderneath(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	mounted := func(rest string) string {
		return "FROM TOYBOX\nRUN --mount=from=attacker,target=/x --mount=type=cache,id=r," + rest + "\n"
	}
	a.built(a.build(mounted(`target=/m mkdir -p /m/x`), "-o", "type=cacheonly"))
	var swapping sync.WaitGroup
	swapping.Go(func() {
		b := newAttempt(t, registry)
		b.store, b.guarded, b.before = a.store, a.guarded, a.before
		b.write("Dockerfile", strings.NewReplacer("TOYBOX", registry+"/toybox", "GUARDED", a.guarded).Replace(mounted(`target=/m ["/x/attacker", "swap", "/m/x", "GUARDED", "8"]`)))
		if r := b.run("build", "--progress", "plain", "--no-cache", "--build-context", "attacker="+filepath.Dir(b.attacker), "-o", "type=cacheonly", "."); r.code != 0 {
			t.Errorf("who swaps fails:\n%s", r.output)
		}
	})
	var out bytes.Buffer
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); {
		a.write("Dockerfile", strings.ReplaceAll(mounted(`source=x,target=/m ["/x/attacker", "absent", "/m/secret"]`), "TOYBOX", registry+"/toybox"))
		r := a.run("build", "--progress", "plain", "--no-cache", "--build-context", "attacker="+filepath.Dir(a.attacker), "-o", "type=cacheonly", ".")
		fmt.Fprintln(&out, r.code)
		if strings.Contains(r.output, "ATTACK SUCCEEDED") {
			t.Errorf("the path led out:\n%s", r.output)
		}
	}
	swapping.Wait()
	a.check()
	t.Logf("exits: %s", strings.ReplaceAll(out.String(), "\n", " "))
}

// c-esc-inspect: what images and steps say of themselves does not reach the terminal as a command to it.
func TestEscapesOfImages(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	a.built(a.build("FROM TOYBOX\nLABEL evil=\"\x1b]0;title\a\"\nENV E=\"\x1b[2J\"\nRUN : \"\x1b]0;title\a\"\n", "-t", registry+"/escapes"))
	for _, args := range [][]string{{"inspect", registry + "/escapes"}, {"explain"}, {"explain", ":"}, {"du"}, {"du", "--verbose"}, {"fsck"}} {
		cmd := a.command(args...)
		if args[0] == "inspect" {
			cmd = exec.CommandContext(t.Context(), cmd.Path, args...) // it knows no store
		}
		r := a.await(cmd)
		a.built(r)
		if strings.ContainsAny(r.output, "\x1b\a") {
			t.Errorf("%q passes escape sequences on: %q", args, r.output)
		}
	}
}
