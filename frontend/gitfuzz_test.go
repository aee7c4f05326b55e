package frontend

import (
	"path"
	"strings"
	"testing"
)

// FuzzGitRef makes sure that no address gives git an option, or a directory outside of the repository.
func FuzzGitRef(f *testing.F) {
	for _, s := range []string{
		"https://h/r.git#main:a/b", "https://h/r.git?tag=v1&subdir=/a/&keep-git-dir#refs/tags/v1", "git@h.com:a/r?branch=x#:d",
		"ssh://git@h:22/r#x", "github.com/a/r#x:y", "git://h/r?ref=a", "https://h/r.git?fetch-by-commit=1&commit=a0",
		"http://h/r.git?mtime=commit&submodules=0", "./a.git", "http://h/r", "https://user:pw@h:8443/r.git#:../../x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		g, ok, err := ParseGitRef(address)
		if !ok || err != nil {
			return
		}
		if strings.HasPrefix(g.Remote, "-") || strings.HasPrefix(g.Ref, "-") || g.Remote == "" {
			t.Errorf("%q: got the remote %q and the ref %q", address, g.Remote, g.Ref)
		}
		if g.Subdir != "" && g.Subdir != path.Join("/", g.Subdir)[1:] {
			t.Errorf("%q: got the directory %q", address, g.Subdir)
		}
	})
}
