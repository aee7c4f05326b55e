//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// hostile is an image whose layers attack who unpacks them.
type hostile struct {
	name string
	// layers are laid over the toybox. GUARDED in names and targets is the directory that must not be touched.
	layers [][]tar.Header
	// refusal is what the error must say; empty if the image must be built, harmless.
	refusal string
	// either: the image may be built or refused, as long as nothing happens.
	either bool
	// check is a command for the attacker's program in the image; see its package.
	check []string
	// raw, if not nil, changes the bytes of the last layer.
	raw func([]byte) []byte
}

func file(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(payload))}
}

func dir(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }

func symlink(name, to string) tar.Header {
	return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink, Mode: 0o777}
}

func hardlink(name, to string) tar.Header {
	return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink, Mode: 0o644}
}

func special(name string, kind byte, major, minor int64) tar.Header {
	return tar.Header{Name: name, Typeflag: kind, Mode: 0o666, Devmajor: major, Devminor: minor}
}

func with(h tar.Header, change func(*tar.Header)) tar.Header { change(&h); return h }

func xattr(h tar.Header, name, value string) tar.Header {
	return with(h, func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr." + name: value} })
}

// payload is the content of all files.
const payload = "pwned"

const climb = "../../../../../../../../../.."

func hostileImages() []hostile {
	one := func(entries ...tar.Header) [][]tar.Header { return [][]tar.Header{entries} }
	both := func(lower, upper []tar.Header) [][]tar.Header { return [][]tar.Header{lower, upper} }
	return []hostile{
		{name: "t-dotdot", layers: one(file(climb + "GUARDED/pwn")), either: true},
		{name: "t-abs", layers: one(file("GUARDED/pwn")), check: []string{"nothing"}},
		{name: "t-symdir-abs", layers: one(symlink("out", "GUARDED"), file("out/pwn")), either: true},
		{name: "t-symdir-rel", layers: one(symlink("out", climb+"GUARDED"), file("out/pwn")), either: true},
		{name: "t-symdir-2layers", layers: both([]tar.Header{symlink("out", "GUARDED")}, []tar.Header{file("out/pwn")}), either: true},
		{name: "t-symchain", layers: one(symlink("a", "b"), symlink("b", "GUARDED"), file("a/pwn")), either: true},
		{name: "t-hard-abs", layers: one(hardlink("stolen", "GUARDED/secret")), refusal: "stolen"},
		{name: "t-hard-dotdot", layers: one(hardlink("stolen", climb+"GUARDED/secret")), refusal: "leads out"},
		{name: "t-hard-via-sym", layers: one(symlink("out", "GUARDED"), hardlink("stolen", "out/secret")), refusal: "stolen"},
		{name: "t-hard-sym-write", layers: one(symlink("a", "GUARDED/secret"), hardlink("b", "a"), file("b")), either: true},
		{name: "t-file-over-sym", layers: both([]tar.Header{symlink("a", "GUARDED/secret")}, []tar.Header{file("a")}), check: []string{"nothing"}},
		{name: "t-root-sym", layers: one(symlink("./", "GUARDED"), file("pwn")), either: true},
		{name: "t-wh-sym", layers: both([]tar.Header{symlink("out", "GUARDED")}, []tar.Header{file("out/.wh.secret")}), either: true},
		{name: "t-opq-sym", layers: both([]tar.Header{symlink("out", "GUARDED")}, []tar.Header{file("out/.wh..wh..opq")}), either: true},
		{name: "t-wh-dotdot", layers: one(file("a/.wh...")), either: true},
		{name: "t-wh-dot", layers: one(file("a/.wh..")), either: true},
		{name: "t-wh-empty", layers: one(file("a/.wh.")), either: true},
		{name: "t-device", layers: one(special("disk", tar.TypeBlock, 254, 0), special("mem", tar.TypeChar, 1, 1)), check: []string{"nothing"}},
		{name: "t-char00", layers: both([]tar.Header{file("kept")}, []tar.Header{special("kept", tar.TypeChar, 0, 0)}), either: true},
		{name: "t-x-opaque", layers: both([]tar.Header{dir("d"), file("d/kept")}, []tar.Header{xattr(xattr(dir("d"), "user.overlay.opaque", "y"), "user.overlay.opaque", "y")}), check: []string{"present", "/d/kept"}},
		{name: "t-x-trusted", layers: both([]tar.Header{dir("d"), file("d/kept")}, []tar.Header{xattr(dir("d"), "trusted.overlay.opaque", "y")}), check: []string{"present", "/d/kept"}},
		{name: "t-x-redirect", layers: both([]tar.Header{dir("d"), file("d/kept")}, []tar.Header{xattr(dir("d"), "user.overlay.redirect", "/etc")}), check: []string{"present", "/d/kept"}},
		{name: "t-x-whiteout", layers: both([]tar.Header{dir("d"), file("d/kept")}, []tar.Header{dir("d"), xattr(with(file("d/other"), func(h *tar.Header) { h.Size = 0 }), "user.overlay.whiteout", "y")}), check: []string{"present", "/d/kept", "/d/other"}},
		{name: "t-x-metacopy", layers: both([]tar.Header{file("kept")}, []tar.Header{xattr(file("other"), "user.overlay.metacopy", "")}), check: []string{"present", "/kept", "/other"}},
		{name: "t-truncated", layers: one(file("a"), file("b")), raw: func(b []byte) []byte { return b[:1100] }, refusal: "unexpected EOF"},
		{name: "t-badsum", layers: one(file("a")), raw: func(b []byte) []byte { b[150] ^= 0x11; return b }, refusal: "header"},
		{name: "t-zero-tail", layers: one(file("a")), raw: func(b []byte) []byte { return append(b, make([]byte, 64<<20)...) }, check: []string{"present", "/a"}},
		{name: "t-flip", layers: [][]tar.Header{{file("x")}, {dir("x"), file("x/y")}, {symlink("x", "/etc")}}, check: []string{"nothing"}},
		{name: "t-deep", layers: one(file(strings.Repeat("d/", 2000) + "f")), either: true},
		{name: "t-names", layers: one(file("new\nline"), file("bad\xff"), file("esc\x1b]0;x\a"), file(strings.Repeat("n", 255))), check: []string{"nothing"}},
		{name: "t-times", layers: one(at("a", 0), at("b", -1), at("c", -1<<31), at("d", 1<<31+5), at("e", 1<<32+5), at("f", 1<<33)), check: []string{"present", "/a", "/b", "/c", "/d", "/e", "/f"}},
		{name: "t-hugeuid", layers: one(with(file("a"), func(h *tar.Header) { h.Uid, h.Gid = 4294967294, 4294967294 })), either: true},
		{name: "t-neguid", layers: one(with(file("a"), func(h *tar.Header) { h.Uid, h.Gid = -2, -2 })), either: true},
		{name: "t-fifo", layers: one(special("pipe", tar.TypeFifo, 0, 0)), check: []string{"present", "/pipe"}},
		{name: "t-unknown", layers: one(with(file("a"), func(h *tar.Header) { h.Typeflag = 'Z' })), either: true},
		{name: "t-suid", layers: one(with(file("s"), func(h *tar.Header) { h.Mode = 0o4755 }), with(dir("t"), func(h *tar.Header) { h.Mode = 0o1777 })), check: []string{"present", "/s", "/t"}},
		{name: "t-xlayer-link", layers: both([]tar.Header{file("lower")}, []tar.Header{hardlink("upper", "lower")}), check: []string{"present", "/upper"}},
		{name: "t-link-dir", layers: one(dir("d"), hardlink("l", "d")), refusal: "l"},
		{name: "t-link-self", layers: one(hardlink("l", "l")), either: true},
		{name: "t-symloop", layers: one(symlink("a", "b"), symlink("b", "a"), file("a/x")), either: true},
		{name: "t-etc-sym", layers: one(symlink("etc", "GUARDED")), either: true},
		{name: "t-dev-sym", layers: one(symlink("dev", "GUARDED"), symlink("proc", "GUARDED"), symlink("sys", "GUARDED")), refusal: "symbolic link"},
		{name: "t-resolv-sym", layers: one(symlink("etc/resolv.conf", "GUARDED/nothing"), symlink("etc/hosts", "GUARDED/new")), check: []string{"nothing"}},
		{name: "t-passwd-sym", layers: one(symlink("etc/passwd", "GUARDED/secret")), either: true},
		{name: "t-pax-bomb", layers: one(file("a")), raw: func(b []byte) []byte { return append(paxBomb(), b...) }, refusal: "header"},
		{name: "t-passwd-huge", layers: one(with(file("etc/passwd"), func(h *tar.Header) { h.Size = 100 << 20 })), refusal: "passwd"},
		{name: "t-passwd-fifo", layers: one(special("etc/passwd", tar.TypeFifo, 0, 0)), refusal: "passwd"},
	}
}

// paxBomb is an extended header of 64 MiB.
func paxBomb() []byte {
	const size = 64 << 20
	b := make([]byte, 512+size)
	copy(b, "PaxHeaders/a")
	copy(b[100:], "0000644\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[148:], "        ")
	b[156] = tar.TypeXHeader
	copy(b[257:], "ustar\x0000")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	copy(b[512:], fmt.Sprintf("%d comment=", size))
	return b
}

func at(name string, seconds int64) tar.Header {
	return with(file(name), func(h *tar.Header) { h.ModTime = time.Unix(seconds, 0) })
}

// Images that attack who unpacks them, see the threat model in docs/SECURITY.md.
func TestHostileImages(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for _, h := range hostileImages() {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, registry)
			h.push(t, a)
			user := "0"
			if strings.HasPrefix(h.name, "t-passwd") {
				user = "nobody" // must be looked up
			}
			check := h.check
			if check == nil {
				check = []string{"nothing"}
			}
			r := a.build(fmt.Sprintf("FROM REGISTRY/%s\nUSER %s\nRUN --mount=from=attacker,target=/x [\"/x/attacker\", \"%s\"]\n",
				h.name, user, strings.Join(check, `", "`)), "-o", "type=cacheonly")
			switch {
			case h.refusal != "":
				a.refused(r, h.refusal)
			case !h.either:
				a.built(r)
			}
			if strings.Contains(r.output, "\x1b]") {
				t.Errorf("an escape sequence reached the output: %q", r.output)
			}
			if r.memory > 1<<30 || r.took > time.Minute {
				t.Errorf("it took %s and %d MiB", r.took, r.memory>>20)
			}
			a.silent(canary, r)
			a.works()
		})
	}
}

// push pushes the image.
func (h *hostile) push(t *testing.T, a *attempt) {
	t.Helper()
	image := toyboxImage(t)
	for i, entries := range h.layers {
		content := archive(t, entries, a.guarded)
		if h.raw != nil && i == len(h.layers)-1 {
			content = h.raw(content)
		}
		var err error
		if image, err = mutate.AppendLayers(image, static.NewLayer(content, types.OCIUncompressedLayer)); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := name.ParseReference(a.registry + "/" + h.name)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// archive packs entries, with the guarded directory for GUARDED.
func archive(t *testing.T, entries []tar.Header, guarded string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		h.Name, h.Linkname = strings.ReplaceAll(h.Name, "GUARDED", guarded), strings.ReplaceAll(h.Linkname, "GUARDED", guarded)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("%s: %v", path.Clean(h.Name), err)
		}
		for rest := h.Size; rest > 0; {
			n, err := w.Write([]byte(payload)[:min(rest, int64(len(payload)))])
			if err != nil {
				t.Fatal(err)
			}
			rest -= int64(n)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// toyboxImage is the image that the scripts build on, for this machine.
func toyboxImage(t *testing.T) v1.Image {
	t.Helper()
	path, err := layout.FromPath(toybox(testuser.Dir()))
	if err != nil {
		t.Fatal(err)
	}
	index, err := only(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
