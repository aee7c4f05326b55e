package frontend

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseGitRef(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		in   string
		want GitRef
	}{
		{"https://h/r.git", GitRef{Remote: "https://h/r.git"}},
		{"https://h/r.git#main", GitRef{Remote: "https://h/r.git", Ref: "main"}},
		{"https://h/r.git#main:a/b/", GitRef{Remote: "https://h/r.git", Ref: "main", Subdir: "a/b"}},
		{"https://h/r.git#:../a", GitRef{Remote: "https://h/r.git", Subdir: "a"}},
		{"https://user:pw@h:8443/r.git", GitRef{Remote: "https://user:pw@h:8443/r.git"}},
		{"http://h/r.git?ref=x", GitRef{Remote: "http://h/r.git", Ref: "x"}},
		{"https://h/r.git?tag=v1", GitRef{Remote: "https://h/r.git", Ref: "refs/tags/v1"}},
		{"https://h/r.git?tag=refs/tags/v1#refs/tags/v1", GitRef{Remote: "https://h/r.git", Ref: "refs/tags/v1"}},
		{"https://h/r.git?branch=dev", GitRef{Remote: "https://h/r.git", Ref: "refs/heads/dev"}},
		{"https://h/r.git?subdir=/a/", GitRef{Remote: "https://h/r.git", Subdir: "a"}},
		{"https://h/r.git?commit=abc123", GitRef{Remote: "https://h/r.git", Checksum: "abc123"}},
		{"https://h/r.git?checksum=ABC", GitRef{Remote: "https://h/r.git", Checksum: "ABC"}},
		{"https://h/r.git?keep-git-dir&submodules=0", GitRef{Remote: "https://h/r.git", KeepGitDir: &yes, Submodules: &no}},
		{"https://h/r.git?mtime=commit", GitRef{Remote: "https://h/r.git", CommitTime: &yes}},
		{"https://h/r.git?mtime=checkout", GitRef{Remote: "https://h/r.git", CommitTime: &no}},
		{"https://h/r.git?fetch-by-commit=1&commit=a0", GitRef{Remote: "https://h/r.git", Checksum: "a0", FetchByCommit: true}},
		{"git://h/r", GitRef{Remote: "git://h/r"}},
		{"ssh://git@h:22/r#x", GitRef{Remote: "ssh://git@h:22/r", Ref: "x"}},
		{"git@h.com:a/r.git", GitRef{Remote: "git@h.com:a/r.git"}},
		{"git@h.com:a/r?branch=x#:d", GitRef{Remote: "git@h.com:a/r", Ref: "refs/heads/x", Subdir: "d"}},
		{"github.com/a/r#x", GitRef{Remote: "https://github.com/a/r", Ref: "x", Ambiguous: true}},
	} {
		got, ok, err := ParseGitRef(tt.in)
		if err != nil || !ok || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v, %v", tt.in, got, ok, err)
		}
	}
}

func TestNotGit(t *testing.T) {
	for _, s := range []string{
		"", ".", "./r.git", "../r.git", "/r.git", "r.git", "https://h/r", "https://h/r.git/x", "http://h/", "ftp://h/r.git",
		"ext::sh -c x", "file:///r.git", "-oProxyCommand=x@h:r", "git@-oProxy:r", "ssh://-oProxyCommand=x/r", "https://%zz/r.git",
		"a b@h:r", "git@h:r?a=%zz",
	} {
		if got, ok, err := ParseGitRef(s); ok || err != nil {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
	}
}

func TestParseGitRefErrors(t *testing.T) {
	for in, want := range map[string]string{
		"https://h/r.git?tag=a&branch=b":        "branch conflicts with tag",
		"https://h/r.git?tag=a#b":               `ref conflicts: "b" vs "refs/tags/a"`,
		"https://h/r.git?ref=a#b":               `ref conflicts: "b" vs "a"`,
		"https://h/r.git?subdir=a#:b":           `subdir conflicts: "b" vs "a"`,
		"https://h/r.git?ref=a&ref=b":           `query "ref" has multiple values`,
		"https://h/r.git?ref=":                  `query "ref" has no value`,
		"https://h/r.git?mtime=now":             "invalid mtime value",
		"https://h/r.git?submodules=maybe":      `invalid submodules value: "maybe"`,
		"https://h/r.git?checksum=xyz":          "invalid checksum xyz for git",
		"https://h/r.git?checksum=12&commit=34": "checksum mismatch",
		"https://h/r.git?unknown=1":             `unexpected query "unknown"`,
		"https://h/r.git#-x":                    `invalid git ref "-x"`,
		"git@h:r?ref=--upload-pack=x%20y":       "invalid git ref",
	} {
		_, ok, err := ParseGitRef(in)
		if !ok || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %s", in, ok, err, want)
		}
	}
}

func TestGitOp(t *testing.T) {
	yes, no := true, false
	op := GitRef{Remote: "r", Ref: "f", Subdir: "d", KeepGitDir: &yes, Submodules: &no, CommitTime: &yes}.Op("c")
	if !op.KeepGitDir || !op.SkipSubmodules || !op.CommitTime || op.Commit != "c" || op.Subdir != "d" {
		t.Errorf("got %+v", op)
	}
	if op := (GitRef{}).Op("c"); op.KeepGitDir || op.SkipSubmodules {
		t.Errorf("got %+v", op)
	}
}
