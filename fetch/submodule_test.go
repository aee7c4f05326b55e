//go:build linux

package fetch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// family is a repository with a submodule that has a submodule, one with a relative address, one absolute.
func family(s *gitServer) (top *repo, id string) {
	leaf := s.repo("other/leaf.git")
	leafID := leaf.commit(map[string]string{"l": "leaf", "d/x": "deep"})
	child := s.repo("child.git")
	childID := child.commit(map[string]string{
		".gitmodules": modules("inner/leaf", "../other/leaf.git"), "inner/leaf": "@" + leafID, "c": "child",
	})
	top = s.repo("top.git")
	id = top.commit(map[string]string{
		".gitmodules": modules("sub/child", child.url, "leaf", "./../other/leaf.git"),
		"sub/child":   "@" + childID, "leaf": "@" + leafID, "t": "top", "sub/f": "",
	})
	return top, id
}

func TestSubmodules(t *testing.T) {
	restrictUmask(t)
	s := newGitServer(t)
	top, id := family(s)
	const leaf = `drwxr-xr-x leaf
drwxr-xr-x leaf/d
-rw-r--r-- leaf/d/x "deep"
-rw-r--r-- leaf/l "leaf"
`
	for _, tt := range []struct {
		name string
		c    Checkout
		want string
	}{
		{"all", Checkout{}, leaf + `drwxr-xr-x sub
drwxr-xr-x sub/child
-rw-r--r-- sub/child/c "child"
drwxr-xr-x sub/child/inner
drwxr-xr-x sub/child/inner/leaf
drwxr-xr-x sub/child/inner/leaf/d
-rw-r--r-- sub/child/inner/leaf/d/x "deep"
-rw-r--r-- sub/child/inner/leaf/l "leaf"
-rw-r--r-- sub/f ""
-rw-r--r-- t "top"
`},
		{"none", Checkout{SkipSubmodules: true}, `drwxr-xr-x leaf
drwxr-xr-x sub
drwxr-xr-x sub/child
-rw-r--r-- sub/f ""
-rw-r--r-- t "top"
`},
		{"a submodule", Checkout{Subdir: "sub/child/inner"}, leaf},
		{"in a submodule", Checkout{Subdir: "sub/child/inner/leaf/d"}, "-rw-r--r-- x \"deep\"\n"},
		{"a directory without files", Checkout{Subdir: "sub", SkipSubmodules: true}, "drwxr-xr-x child\n-rw-r--r-- f \"\"\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGit(t, t.TempDir())
			tt.c.Commit = Commit{Remote: top.url, ID: id}
			dir := checkout(t, g, tt.c)
			wantTree(t, dir, tt.want)
			wantNoDrafts(t, g.Dir)
		})
	}
	g := newGit(t, t.TempDir())
	_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: top.url, ID: id}, Subdir: "leaf/d", SkipSubmodules: true})
	wantError(t, err, `the directory "leaf/d" is not there`)
	_, err = g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: top.url, ID: id}, Subdir: "leaf/nothing"})
	wantError(t, err, `submodule "leaf": the directory "nothing" is not there`)
}

func TestKeepGitDirOfSubmodules(t *testing.T) {
	s := newGitServer(t)
	top, id := family(s)
	dir := checkout(t, newGit(t, t.TempDir()), Checkout{Commit: Commit{Remote: top.url, ID: id}, KeepGitDir: true})
	c := &repo{t: t, dir: filepath.Join(dir, ".git"), work: dir}
	if got := c.git("status", "--porcelain"); got != "" {
		t.Errorf("got %q", got)
	}
	for line := range strings.Lines(c.git("submodule", "status", "--recursive")) {
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") {
			t.Errorf("got %q", line)
		}
	}
	if got := c.git("config", "submodule.name of leaf.url"); got != s.URL+"/other/leaf.git" {
		t.Errorf("got %q", got)
	}
}

func TestUpdateNone(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git")
	id := r.commit(map[string]string{
		".gitmodules": modules("a", "https://nowhere.invalid/x.git") + "\tupdate = none\n", "a": "@" + strings.Repeat("ab", 20),
	})
	wantTree(t, checkout(t, newGit(t, t.TempDir()), Checkout{Commit: Commit{Remote: r.url, ID: id}}), "drwxr-xr-x a\n")
}

// What a repository says about its submodules gets nobody anywhere.
func TestHostileSubmodules(t *testing.T) {
	s := newGitServer(t)
	secret := s.repo("secret.git")
	secretID := secret.commit(map[string]string{"f": "secret"})
	for address, want := range map[string]string{
		"file://" + secret.dir:                   "file is not allowed",
		secret.dir:                               "neither a URL nor user@host:path",
		"ext::sh -c touch% " + s.root + "/pwn":   "neither a URL nor user@host:path",
		"fd::1":                                  "neither a URL nor user@host:path",
		"--upload-pack=touch " + s.root + "/pwn": "", // refused by git's own check already
		"ssh://-oProxyCommand=touch/x":           "",
		"-oProxyCommand=touch:x":                 "",
		"../../../../etc":                        "leads out of",
		"ftp://h/x":                              "ftp is not allowed",
		"":                                       "no address in .gitmodules",
	} {
		t.Run(address, func(t *testing.T) {
			r := s.repo(keyOf(address) + ".git")
			id := r.commit(map[string]string{".gitmodules": modules("a", address), "a": "@" + secretID})
			g := newGit(t, t.TempDir())
			g.Protocols = []string{"https", "http", "ssh", "git", "file"}
			_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: id}})
			wantError(t, err, want)
			if _, err := os.Lstat(filepath.Join(s.root, "pwn")); err == nil {
				t.Fatal("a command was run")
			}
		})
	}
}

// A repository of this machine can be used if that was allowed, its relative submodules cannot.
func TestLocalRepository(t *testing.T) {
	s := newGitServer(t)
	top, id := family(s)
	c := Checkout{Commit: Commit{Remote: fileURL(top.dir), Ref: "main", ID: id}, SkipSubmodules: true}
	_, err := newGit(t, t.TempDir()).Checkout(t.Context(), c)
	wantError(t, err, "file is not allowed")

	g := newGit(t, t.TempDir())
	g.Protocols = []string{"file", "http"}
	if _, err := os.Stat(filepath.Join(checkout(t, g, c), "t")); err != nil {
		t.Error(err)
	}
	c.SkipSubmodules = false
	_, err = g.Checkout(t.Context(), c)
	wantError(t, err, "file is not allowed")
}

// Trees that git itself would not make are found out when they are fetched, or, from a server that git does not
// check, when they are checked out.
func TestHostileTrees(t *testing.T) {
	s, dumb := newGitServer(t), newGitServer(t)
	dumb.dumb()
	submodule := "160000 commit " + strings.Repeat("ab", 20)
	for name, lines := range map[string]func(r *repo) []string{
		".git file":            func(r *repo) []string { return []string{"100644 blob " + r.blob("x") + "\t.git"} },
		".git in capitals":     func(r *repo) []string { return []string{"100644 blob " + r.blob("x") + "\t.GIT"} },
		"dotdot":               func(r *repo) []string { return []string{"100644 blob " + r.blob("x") + "\t.."} },
		".gitmodules is link":  func(r *repo) []string { return []string{"120000 blob " + r.blob("f") + "\t.gitmodules"} },
		"submodule named .git": func(*repo) []string { return []string{submodule + "\t.git"} },
	} {
		for _, server := range []*gitServer{s, dumb} {
			t.Run(name, func(t *testing.T) {
				r := server.repo(keyOf(name) + ".git")
				g := newGit(t, t.TempDir())
				_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, Ref: "main", ID: r.raw(lines(r)...)}})
				wantError(t, err, "git ")
				if kept, err := filepath.Glob(filepath.Join(g.Dir, keptDir, "*")); err != nil || len(kept) > 0 {
					t.Errorf("kept %v, %v", kept, err)
				}
			})
		}
	}
}

// The name of a submodule is not the name of a directory.
func TestClimbingSubmoduleName(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git")
	id := r.raw("100644 blob "+r.blob("[submodule \"../../x\"]\n\tpath = a\n\turl = https://h/r.git\n")+"\t.gitmodules",
		"160000 commit "+strings.Repeat("ab", 20)+"\ta")
	_, err := newGit(t, t.TempDir()).Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: id}})
	wantError(t, err, "git fetch", "gitmodulesName")
}

// Old repositories have mistakes that harm nobody.
func TestHarmlessMistakes(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git")
	tree := r.gitWith("", "mktree")
	id := r.gitWith("tree "+tree+"\nauthor a <a@b> 1 +000000\ncommitter  <> 1 +0000\n\nx\n", "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	r.git("update-ref", "refs/heads/main", id)
	wantTree(t, checkout(t, newGit(t, t.TempDir()), Checkout{Commit: Commit{Remote: r.url, ID: id}}), "")
}

// A submodule goes nowhere that a link leads to.
func TestRealDir(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "link"), "-> /etc")
	for _, name := range []string{"link", "link/x", "../link"} {
		if got, err := realDir(root, name); err == nil {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if got, err := realDir(root, "../../x"); got != filepath.Join(root, "x") || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := realDir(root, "a/b"); got != filepath.Join(root, "a/b") || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRelativeTo(t *testing.T) {
	for _, tt := range []struct{ parent, address, want string }{
		{"https://h/a/b.git", "../c.git", "https://h/a/c.git"},
		{"https://h/a/b.git", "./c.git", "https://h/a/b.git/c.git"},
		{"https://h/a/b.git/", "../../c/d.git", "https://h/c/d.git"},
		{"https://h:8080/b", "../c", "https://h:8080/c"},
		{"https://h:8080/b", "../../1234/c", ""},
		{"https://h", "../c", ""},
		{"git@h:a/b.git", "../c.git", "git@h:a/c.git"},
		{"git@h:b.git", "../c.git", "git@h:c.git"},
		{"git@h:/srv/b.git", "../c.git", "git@h:/srv/c.git"},
		{"git@h:/b.git", "../c.git", "git@h:/c.git"},
		{"git@h:b.git", "../../c.git", ""},
		{"ssh://git@h/a/b", "../../c", "ssh://git@h/c"},
	} {
		got, err := relativeTo(tt.parent, tt.address)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s from %s: got %q, %v, want %q", tt.address, tt.parent, got, err, tt.want)
		}
	}
}

// A small repository can name any number of files.
func TestTooManyFiles(t *testing.T) {
	l := &listing{entries: mostEntries - 1}
	_, err := l.Write([]byte("100644 blob x\ta\x00100644 blob x\tb\x00"))
	wantError(t, err, "too many files")
}
