//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/policy"
	"github.com/seed-298d225e/builder/solver"
)

func TestGitIdentifier(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/moby/buildkit.git#v1:docs":  "git://github.com/moby/buildkit.git#v1:docs",
		"https://user:pw@example.com/a.git":             "git://example.com/a.git",
		"git@github.com:moby/buildkit.git#main":         "git://github.com/moby/buildkit.git#main",
		"ssh://git@example.com/a.git#:sub":              "git://example.com/a.git#:sub",
		"https://example.com/a.git?branch=b&subdir=sub": "git://example.com/a.git#refs/heads/b:sub",
	} {
		g, ok, err := frontend.ParseGitRef(address)
		if err != nil || !ok {
			t.Fatal(address, err)
		}
		if got := gitIdentifier(g); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

// judging returns a build that a policy with these rules is asked about.
func judging(t *testing.T, rules string) *build {
	t.Helper()
	p, err := policy.Parse([]byte(`{"rules":` + rules + `}`))
	if err != nil {
		t.Fatal(err)
	}
	b := &build{buildOptions: &buildOptions{policies: []*policy.Policy{p}}}
	b.told.Store("the source policy has git://mirror.example.com/a.git#v2 used instead of git://example.com/a.git#v1", true)
	b.told.Store("the source policy has https://mirror.example.com/f used instead of https://example.com/f", true)
	return b
}

func TestJudgeGit(t *testing.T) {
	g := frontend.GitRef{Remote: "https://example.com/a.git", Ref: "v1"}
	moved := judging(t, `[{"action":"CONVERT","selector":{"identifier":"git://example.com/a.git#v1"},"updates":{"identifier":"git://mirror.example.com/a.git#v2"}}]`)
	if got, err := moved.judgeGit(g); err != nil || got.Remote != "https://mirror.example.com/a.git" || got.Ref != "v2" {
		t.Errorf("got %+v, %v", got, err)
	}
	pinned := judging(t, `[{"action":"CONVERT","selector":{"identifier":"git://example.com/*"},"updates":{"attrs":{"git.checksum":"0123456"}}}]`)
	if got, err := pinned.judgeGit(g); err != nil || got.Checksum != "0123456" || got.Remote != g.Remote {
		t.Errorf("got %+v, %v", got, err)
	}
	impossible := judging(t, `[{"action":"CONVERT","selector":{"identifier":"git://example.com/*"},"updates":{"attrs":{"git.sig.pubkey":"x"}}}]`)
	if _, err := impossible.judgeGit(g); err == nil || !strings.Contains(err.Error(), "git.sig.pubkey") {
		t.Errorf("an attribute that means nothing here: got %v", err)
	}
}

func TestJudgeURL(t *testing.T) {
	op := solver.HTTP{URL: "https://example.com/f", Filename: "f"}
	sum := "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	b := judging(t, `[{"action":"CONVERT","selector":{"identifier":"https://example.com/*"},
		"updates":{"identifier":"https://mirror.example.com/${1}","attrs":{"http.checksum":"`+sum+`"}}}]`)
	got, err := b.judgeURL(op)
	if err != nil || got.URL != "https://mirror.example.com/f" || got.Filename != "f" || got.Checksum.String() != sum {
		t.Errorf("got %+v, %v", got, err)
	}
	b = judging(t, `[{"action":"CONVERT","selector":{"identifier":"https://*"},"updates":{"identifier":"docker-image://x"}}]`)
	b.told.Store("the source policy has docker-image://x used instead of https://example.com/f", true)
	if _, err := b.judgeURL(op); err == nil || !strings.Contains(err.Error(), "which is no URL") {
		t.Errorf("a file becomes an image: got %v", err)
	}
}

func TestWithoutCredentials(t *testing.T) {
	for address, want := range map[string]string{
		"https://user:pw@example.com/a.git": "https://example.com/a.git",
		"https://token@example.com/a":       "https://example.com/a",
		"ssh://git@example.com/a.git":       "ssh://git@example.com/a.git",
		"ssh://git:pw@example.com/a.git":    "ssh://git@example.com/a.git",
		"git@example.com:a.git":             "git@example.com:a.git",
		"https://us er:p/w@example.com":     "",
		"Dockerfile":                        "Dockerfile",
	} {
		if got := withoutCredentials(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}
