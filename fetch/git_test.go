//go:build linux

package fetch

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// sample is a repository with a bit of everything, and a branch and tags.
func sample(s *gitServer) (r *repo, first, second string) {
	r = s.repo("r.git")
	first = r.commit(map[string]string{
		"file": "one", "dir/sub/f": "x", "run": "#!run", "link": "-> dir", "out": "-> /etc", ".gitattributes": "*.bat eol=crlf\n",
		"dir/x.bat": "a\n",
	})
	r.git("tag", "light")
	r.git("tag", "-a", "-m", "text", "v1")
	r.git("branch", "old")
	second = r.commit(map[string]string{"file": "two"})
	return r, first, second
}

func TestCheckout(t *testing.T) {
	restrictUmask(t)
	s := newGitServer(t)
	r, first, _ := sample(s)
	g := newGit(t, t.TempDir())
	dir := checkout(t, g, Checkout{Commit: Commit{Remote: r.url, Ref: "old", ID: first}})
	wantTree(t, dir, `-rw-r--r-- .gitattributes "*.bat eol=crlf\n"
drwxr-xr-x dir
drwxr-xr-x dir/sub
-rw-r--r-- dir/sub/f "x"
-rw-r--r-- dir/x.bat "a\r\n"
-rw-r--r-- file "one"
Lrwxrwxrwx link -> dir
Lrwxrwxrwx out -> /etc
-rwxr-xr-x run "#!run"
`)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	wantNoDrafts(t, g.Dir)
}

func TestResolve(t *testing.T) {
	s := newGitServer(t)
	r, first, second := sample(s)
	r.git("update-ref", "refs/pull/1/head", first)
	r.git("tag", "main") // git prefers the branch
	tag := r.git("rev-parse", "v1")
	g := newGit(t, t.TempDir())
	for ref, want := range map[string]Revision{
		"":                 {Ref: "refs/heads/main", Commit: second},
		"HEAD":             {Ref: "refs/heads/main", Commit: second},
		"main":             {Ref: "refs/heads/main", Commit: second},
		"old":              {Ref: "refs/heads/old", Commit: first},
		"refs/heads/old":   {Ref: "refs/heads/old", Commit: first},
		"heads/old":        {Ref: "refs/heads/old", Commit: first},
		"light":            {Ref: "refs/tags/light", Commit: first},
		"v1":               {Ref: "refs/tags/v1", Tag: tag, Commit: first},
		"refs/tags/v1":     {Ref: "refs/tags/v1", Tag: tag, Commit: first},
		"pull/1/head":      {Ref: "refs/pull/1/head", Commit: first},
		first:              {Commit: first},
		"refs/pull/1/head": {Ref: "refs/pull/1/head", Commit: first},
	} {
		got, err := g.Resolve(t.Context(), r.url, ref)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", ref, got, err, want)
		}
	}
	for ref, want := range map[string]string{
		"nothing":   "the repository does not contain the ref nothing",
		first[:10]:  "the repository does not contain the ref",
		"refs/*":    "invalid git ref",
		"-x":        "invalid git ref",
		"a b":       "invalid git ref",
		"a:b":       "invalid git ref",
		"a..b":      "invalid git ref",
		"a\nb":      "invalid git ref",
		"refs/x^{}": "invalid git ref",
	} {
		_, err := g.Resolve(t.Context(), r.url, ref)
		wantError(t, err, want)
	}
	_, err := g.Resolve(t.Context(), s.URL+"/nothing.git", "")
	wantError(t, err, "looking up "+s.URL+"/nothing.git", "not found")
	empty := s.repo("empty.git")
	_, err = g.Resolve(t.Context(), empty.url, "")
	wantError(t, err, "no default branch")
}

func TestRevisionMatches(t *testing.T) {
	r := Revision{Tag: "abcd", Commit: "1234"}
	for checksum, want := range map[string]bool{"": true, "12": true, "1234": true, "ab": true, "23": false, "12345": false} {
		if r.Matches(checksum) != want {
			t.Errorf("%q: got %v", checksum, !want)
		}
	}
}

// The second build asks nobody.
func TestCheckoutTwice(t *testing.T) {
	s := newGitServer(t)
	r, _, second := sample(s)
	store := t.TempDir()
	c := Checkout{Commit: Commit{Remote: r.url, ID: second}}
	first := checkout(t, newGit(t, store), c)
	if s.requests() == 0 {
		t.Error("the server was not asked")
	}
	g := newGit(t, store)
	if again := checkout(t, g, c); again != first {
		t.Errorf("got %s, want %s", again, first)
	}
	// Another part of the same commit needs a checkout, but not the server.
	c.Subdir = "/dir/sub/"
	wantTree(t, checkout(t, g, c), "-rw-r--r-- f \"x\"\n")
	if n := s.requests(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

// withoutProtocol2 makes a server one that gives out nothing but branches and tags.
func withoutProtocol2(_ http.ResponseWriter, r *http.Request) bool {
	r.Header.Del("Git-Protocol")
	return false
}

// A download is as small as the server allows, and works whatever it allows.
func TestWaysToFetch(t *testing.T) {
	for _, tt := range []struct {
		name string
		old  bool
		ref  string
		// back is how many commits before that of main the one that is wanted is, commits how many are fetched.
		back, commits int
	}{
		{name: "by commit", back: 1, commits: 1},
		{name: "by branch", old: true, ref: "old", back: 2, commits: 1},
		{name: "by tag", old: true, ref: "v1", back: 2, commits: 1},
		{name: "branch has moved", old: true, ref: "main", back: 1, commits: 3},
		{name: "branch is gone", old: true, ref: "gone", back: 1, commits: 3},
		{name: "default branch", old: true, commits: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newGitServer(t)
			r, _, _ := sample(s)
			r.commit(map[string]string{"file": "three"})
			if tt.old {
				s.intercept(withoutProtocol2)
			}
			g := newGit(t, t.TempDir())
			id := r.git("rev-parse", fmt.Sprintf("main~%d", tt.back))
			checkout(t, g, Checkout{Commit: Commit{Remote: r.url, Ref: tt.ref, ID: id}})
			if got := countCommits(t, g.Dir); got != tt.commits {
				t.Errorf("fetched %d commits, want %d", got, tt.commits)
			}
		})
	}
}

// A server that is not more than a directory of files.
func TestDumbServer(t *testing.T) {
	s := newGitServer(t)
	r, first, _ := sample(s)
	s.dumb()
	g := newGit(t, t.TempDir())
	rev, err := g.Resolve(t.Context(), r.url, "v1")
	if err != nil || rev.Commit != first {
		t.Fatal(rev, err)
	}
	dir := checkout(t, g, Checkout{Commit: Commit{Remote: r.url, Ref: "v1", ID: first}, Subdir: "dir/sub"})
	wantTree(t, dir, "-rw-r--r-- f \"x\"\n")
}

// countCommits returns how many commits the repository of a directory has.
func countCommits(t *testing.T, store string) int {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(store, repositoriesDir, "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	r := &repo{t: t, dir: dirs[0], work: t.TempDir()}
	return strings.Count(r.git("cat-file", "--batch-all-objects", "--batch-check"), " commit ")
}

func TestCommitNotThere(t *testing.T) {
	s := newGitServer(t)
	r, _, _ := sample(s)
	g := newGit(t, t.TempDir())
	_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: strings.Repeat("ab", 20)}})
	wantError(t, err, "does not contain the commit abab")
	for id, want := range map[string]string{"main": "not the full name", "": "not the full name", "ABAB": "not the full name"} {
		_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: id}})
		wantError(t, err, want)
	}
	wantNoDrafts(t, g.Dir)
}

func TestSHA256Repository(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git", "--object-format=sha256")
	id := r.commit(map[string]string{"f": "x"})
	g := newGit(t, t.TempDir())
	rev, err := g.Resolve(t.Context(), r.url, "main")
	if err != nil || rev.Commit != id || len(id) != 64 {
		t.Fatal(rev, err)
	}
	for _, keep := range []bool{false, true} {
		wantTree(t, checkout(t, g, Checkout{Commit: Commit{Remote: r.url, ID: id}, KeepGitDir: keep}), "-rw-r--r-- f \"x\"\n")
	}
}

func TestEmptyCommit(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git")
	id := r.commit(nil)
	wantTree(t, checkout(t, newGit(t, t.TempDir()), Checkout{Commit: Commit{Remote: r.url, ID: id}}), "")
}

func TestCommitTime(t *testing.T) {
	s := newGitServer(t)
	r, _, second := sample(s)
	g := newGit(t, t.TempDir())
	want := time.Unix(1577934245, 0)
	got, err := g.CommitTime(t.Context(), Commit{Remote: r.url, ID: second})
	if err != nil || !got.Equal(want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	dir := checkout(t, g, Checkout{Commit: Commit{Remote: r.url, ID: second}, CommitTime: true, KeepGitDir: true})
	for _, name := range []string{".", "file", "dir", "dir/sub/f", "link", ".git", ".git/HEAD"} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.ModTime().Equal(want) {
			t.Errorf("%s: got %v, %v", name, info.ModTime(), err)
		}
	}
	dir = checkout(t, g, Checkout{Commit: Commit{Remote: r.url, ID: second}})
	if info, err := os.Lstat(filepath.Join(dir, "file")); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("got %v, %v", info.ModTime(), err)
	}
}

func TestSubdir(t *testing.T) {
	s := newGitServer(t)
	r, first, _ := sample(s)
	g := newGit(t, t.TempDir())
	get := func(subdir string) (string, error) {
		return g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: first}, Subdir: subdir, KeepGitDir: true})
	}
	dir, err := get("dir")
	if err != nil {
		t.Fatal(err)
	}
	wantTree(t, dir, `drwxr-xr-x sub
-rw-r--r-- sub/f "x"
-rw-r--r-- x.bat "a\r\n"
`)
	for subdir, want := range map[string]string{
		"nothing":  `the directory "nothing" is not there`,
		"di":       `the directory "di" is not there`,
		"file":     `"file" is a file or a symbolic link`,
		"file/x":   `"file" is a file or a symbolic link`,
		"link":     `"link" is a file or a symbolic link`,
		"link/sub": `"link" is a file or a symbolic link`,
		"out":      `"out" is a file or a symbolic link`,
		"-x":       `the directory "-x" is not there`,
		":/dir":    `is not there`,
	} {
		_, err := get(subdir)
		wantError(t, err, want)
	}
	wantNoDrafts(t, g.Dir)
}

func TestKeepGitDir(t *testing.T) {
	restrictUmask(t)
	s := newGitServer(t)
	r, first, _ := sample(s)
	g := newGit(t, t.TempDir())
	withPassword := strings.Replace(r.url, "//", "//user:secret@", 1)
	for _, tt := range []struct{ ref, id, refs string }{
		{"v1", first, "refs/tags/v1 tag"},
		{"light", first, "refs/tags/light commit"},
		{"old", first, "refs/heads/old commit"},
		{"main", r.git("rev-parse", "main"), "refs/heads/main commit"},
		{"", r.git("rev-parse", "main"), "refs/heads/main commit"},
		{"main", first, ""}, // it has moved on
		{"gone", first, ""},
		{first, first, ""},
	} {
		dir := checkout(t, g, Checkout{Commit: Commit{Remote: withPassword, Ref: tt.ref, ID: tt.id}, KeepGitDir: true})
		c := &repo{t: t, dir: filepath.Join(dir, ".git"), work: dir}
		if got := c.git("for-each-ref", "--format=%(refname) %(objecttype)"); got != tt.refs {
			t.Errorf("%s: got refs %q, want %q", tt.ref, got, tt.refs)
		}
		for want, args := range map[string][]string{
			"":     {"status", "--porcelain"},
			"1":    {"rev-list", "--count", "HEAD"},
			tt.id:  {"rev-parse", "HEAD"},
			r.url:  {"remote", "get-url", "origin"},
			"HEAD": {"rev-parse", "--abbrev-ref", "HEAD"},
		} {
			if got := c.git(args...); got != want {
				t.Errorf("%s: git %v: got %q, want %q", tt.ref, args, got, want)
			}
		}
		c.git("fsck", "--strict")
		wantNothing(t, dir, "secret")
		for _, name := range []string{"FETCH_HEAD", "logs", "hooks"} {
			if _, err := os.Lstat(filepath.Join(dir, ".git", name)); err == nil {
				t.Errorf("%s: .git/%s is there", tt.ref, name)
			}
		}
	}
}

// wantNothing checks that no file below dir holds a text.
func wantNothing(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		if strings.Contains(string(content), text) {
			t.Errorf("%s holds %q", name, text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Several builds at once, which share a directory, fetch a commit once.
func TestGitConcurrent(t *testing.T) {
	s := newGitServer(t)
	r, _, second := sample(s)
	store := t.TempDir()
	shared := newGit(t, store)
	var wg sync.WaitGroup
	dirs := make([]string, 6)
	for i := range dirs {
		g := shared
		if i%2 == 0 {
			g = newGit(t, store)
		}
		wg.Go(func() {
			var err error
			if dirs[i], err = g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: second}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, d := range dirs {
		if d != dirs[0] {
			t.Errorf("got %q", dirs)
		}
	}
	if n := s.requests(); n > 4 {
		t.Errorf("the server was asked %d times", n)
	}
	wantNoDrafts(t, store)
}

func TestGitProgress(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git")
	id := r.commit(map[string]string{"f": strings.Repeat(fmt.Sprint(time.Now()), 1000)})
	g := newGit(t, t.TempDir())
	var last string
	g.Progress = func(what string, current, total int64) { last = fmt.Sprint(what, " ", current == total) }
	checkout(t, g, Checkout{Commit: Commit{Remote: strings.Replace(r.url, "//", "//u:secret@", 1), ID: id}})
	if want := r.url + " true"; last != want {
		t.Errorf("got %q, want %q", last, want)
	}
}

func TestMessages(t *testing.T) {
	var got []int64
	m := &messages{secrets: []string{"s3cret"}, progress: func(n int64) { got = append(got, n) }}
	for _, s := range []string{
		"remote: Enumerating objects: 5, done.\n", "Receiving objects:  50% (1/2), 1.50 MiB | 2 MiB/s\rReceiving obj",
		"ects: 100% (2/2), 3.00 KiB | 2 MiB/s, done.\n", "Resolving deltas: 100% (1/1)\n", "\x1b[31mfatal: s3cret https://u:p@h/r\n",
		"last", " line",
	} {
		if _, err := m.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint([]int64{1572864, 3072}) {
		t.Errorf("got %v", got)
	}
	if got, want := m.text(), " [31mfatal: xxxxx https://xxxxx@h/r; last line"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGitNotInstalled(t *testing.T) {
	g := newGit(t, t.TempDir())
	g.Program = "git-that-is-not-there"
	_, err := g.Resolve(t.Context(), "https://h/r.git", "")
	wantError(t, err, "need the program git: install it", "apt-get install git", exec.ErrNotFound.Error())

	old := filepath.Join(t.TempDir(), "git")
	write(t, old, "#!/bin/sh\necho git version 2.30.2\n")
	g.Program = old
	_, err = g.Resolve(t.Context(), "https://h/r.git", "")
	wantError(t, err, "git version 2.30.2 is too old: want git 2.31 or later")

	write(t, old, "#!/bin/sh\necho hello\n")
	_, err = g.Resolve(t.Context(), "https://h/r.git", "")
	wantError(t, err, `it says "hello"`)
}
