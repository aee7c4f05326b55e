package sbom

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// files are a tree as a literal: content by path.
func files(tree map[string]string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for path, content := range tree {
			f := File{
				Path: path, Size: int64(len(content)), Executable: strings.HasPrefix(content, "\x7fELF"),
				Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

func urls(t *testing.T, tree map[string]string) []string {
	t.Helper()
	i, err := Scan(files(tree))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, p := range i.Packages {
		list = append(list, i.URL(p))
	}
	return list
}

const debian = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=x\nVERSION_ID=\"13\"\nID=debian\n"

func TestScan(t *testing.T) {
	for name, tt := range map[string]struct {
		tree map[string]string
		want []string
	}{
		"nothing": {map[string]string{"etc/passwd": "root"}, nil},
		"dpkg": {map[string]string{
			"etc/os-release": debian,
			"var/lib/dpkg/status": "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.41)\n" +
				"Version: 2.41-12+deb13u1\nDescription: the library\n Version: 9 is in the text\n\n" +
				"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: tzdata\nStatus: install ok installed\nVersion: 2025b\nArchitecture: all\n",
		}, []string{
			"pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64&distro=debian-13",
			"pkg:deb/debian/tzdata@2025b?arch=all&distro=debian-13",
		}},
		"dpkg without dpkg": {map[string]string{
			"var/lib/dpkg/status.d/base":         "Package: base-files\nVersion: 12\nArchitecture: amd64\n",
			"var/lib/dpkg/status.d/base.md5sums": "Package: no\nVersion: 1\n",
		}, []string{"pkg:deb/debian/base-files@12?arch=amd64"}},
		"apk": {map[string]string{
			"etc/os-release":       "ID=alpine\nVERSION_ID=3.22.1\n",
			"lib/apk/db/installed": "C:Q1x=\nP:musl\nV:1.2.5-r10\nA:x86_64\nL:MIT\no:musl\n\nP:ca-certificates-bundle\nV:2025-r0\nA:x86_64\n\n",
		}, []string{
			"pkg:apk/alpine/ca-certificates-bundle@2025-r0?arch=x86_64&distro=alpine-3.22.1",
			"pkg:apk/alpine/musl@1.2.5-r10?arch=x86_64&distro=alpine-3.22.1",
		}},
		"npm": {map[string]string{
			"app/package.json":                               `{"name":"app","version":"1.0.0"}`,
			"app/node_modules/left-pad/package.json":         `{"name":"left-pad","version":"1.3.0","license":"WTFPL"}`,
			"app/node_modules/@types/node/package.json":      `{"name":"@types/node","version":"22.1.0","license":{"type":"MIT"}}`,
			"app/node_modules/left-pad/test/package.json":    `{"name":"fixture","version":"0.0.1"}`,
			"app/node_modules/broken/package.json":           `{`,
			"srv/node_modules/left-pad/package.json":         `{"name":"left-pad","version":"1.3.0"}`,
			"app/node_modules/a/node_modules/b/package.json": `{"name":"b","version":"2.0.0"}`,
		}, []string{"pkg:npm/%40types/node@22.1.0", "pkg:npm/b@2.0.0", "pkg:npm/left-pad@1.3.0"}},
		"python": {map[string]string{
			"usr/lib/python3/dist-packages/Foo_Bar-2.1.dist-info/METADATA": "Metadata-Version: 2.4\nName: Foo_Bar\nVersion: 2.1\nLicense-Expression: MIT\n\nName: not this\n",
			"usr/lib/python3/dist-packages/old.egg-info":                   "Name: old\nVersion: 0.1\n",
			"usr/lib/python3/dist-packages/egg.egg-info/PKG-INFO":          "Name: egg\nVersion: 1\n",
		}, []string{"pkg:pypi/foo-bar@2.1", "pkg:pypi/egg@1", "pkg:pypi/old@0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := urls(t, tt.tree); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// The modules of a program of Go are found: this test is one.
func TestProgram(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	got := urls(t, map[string]string{"usr/bin/test": string(self), "usr/bin/other": "\x7fELF" + strings.Repeat("x", 2000)})
	if !slices.ContainsFunc(got, func(u string) bool { return strings.HasPrefix(u, "pkg:golang/stdlib@go1.") }) {
		t.Errorf("got %q", got)
	}
}

// unzipped is a file of testdata.
func unzipped(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// databases are one of each form that rpm has had, by what their files are called in testdata and on a system. The
// first was written by rpm 4.18, with packages whose headers are larger than a page. The others hold the same headers:
// the second was written by rpm's ndb, out of order and with a gap, the last two by Berkeley DB 5.3 in either byte order.
func databases() map[string]string {
	return map[string]string{
		"rpmdb.sqlite": "rpmdb.sqlite", "Packages.db": "Packages.db", "Packages": "Packages", "Packages.be": "Packages",
	}
}

func TestRPM(t *testing.T) {
	for name, as := range databases() {
		got := urls(t, map[string]string{"var/lib/rpm/" + as: string(unzipped(t, name)), "etc/os-release": "ID=fedora\nVERSION_ID=43\n"})
		if len(got) != 11 || got[0] != "pkg:rpm/fedora/pkg1@1.1-2?arch=x86_64&distro=fedora-43&epoch=1" {
			t.Errorf("%s: got %d: %q", name, len(got), got)
		}
		if _, err := Scan(files(map[string]string{"var/lib/rpm/" + as: strings.Repeat("x", 5000)})); err == nil {
			t.Errorf("%s: what is no database is read", name)
		}
		if _, err := Scan(files(map[string]string{"var/lib/rpm/" + as: string(unzipped(t, name)[:9000])})); err == nil {
			t.Errorf("%s: half a database is read", name)
		}
	}
}

// A damaged database is an error and nothing worse.
func FuzzRPM(f *testing.F) {
	for name := range databases() {
		f.Add(name, 0, []byte{})
		f.Add(name, 20, []byte{0, 0, 0, 1})
		f.Add(name, 4096+20, []byte{0xff, 0xff})
		f.Add(name, 40, []byte{0xff, 0xff, 0xff, 0x7f})
	}
	for name, content := range greedy() {
		f.Add(name, 0, content)
	}
	f.Fuzz(func(t *testing.T, name string, at int, with []byte) {
		as, ok := databases()[name]
		if !ok {
			return
		}
		b := unzipped(t, name)
		if at >= 0 && at < len(b) {
			copy(b[at:], with)
		}
		_, _ = Scan(files(map[string]string{"var/lib/rpm/" + as: string(b)}))
	})
}

func TestSPDX(t *testing.T) {
	i, err := Scan(files(map[string]string{
		"etc/os-release":      debian,
		"var/lib/dpkg/status": "Package: libc6\nStatus: install ok installed\nVersion: 2.41\nSource: glibc\nMaintainer: A <a@example.org>\nHomepage: https://example.org\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	d := Document{Name: "app", Digest: "sha256:00", Tool: "builder-1", Created: time.Unix(0, 0)}
	first, err := i.SPDX(d)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := i.SPDX(d); !bytes.Equal(first, second) {
		t.Error("the same inventory gives two documents")
	}
	var doc spdxDocument
	if err := json.Unmarshal(first, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Version != "SPDX-2.3" || doc.Creation.Created != "1970-01-01T00:00:00Z" || len(doc.Packages) != 3 || len(doc.Relationships) != 3 {
		t.Errorf("got %s", first)
	}
	libc := doc.Packages[2]
	if libc.Name != "libc6" || libc.Supplier != "Person: A <a@example.org>" || libc.References[0].Locator != "pkg:deb/debian/libc6@2.41?distro=debian-13" ||
		!strings.Contains(libc.SourceInfo, "built from glibc") {
		t.Errorf("got %+v", libc)
	}
}
