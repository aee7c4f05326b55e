//go:build linux

package fetch

import (
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gitServer serves repositories as git itself does over http, through git http-backend.
type gitServer struct {
	*httptest.Server
	t    *testing.T
	root string
	// backend is git itself.
	backend http.Handler

	mu sync.Mutex
	// paths are the requests since they were last asked for, authorizations what came with them.
	paths, authorizations []string
	// handle, if not nil, answers a request itself if it returns true.
	handle func(w http.ResponseWriter, r *http.Request) bool
}

func newGitServer(t *testing.T) *gitServer {
	t.Helper()
	needGit(t)
	path, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := &gitServer{t: t, root: t.TempDir()}
	s.backend = &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + s.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=/dev/null"},
		// What it says about connections that were broken is of no interest.
		Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.paths = append(s.paths, r.Method+" "+r.URL.Path)
		s.authorizations = append(s.authorizations, r.Header.Get("Authorization"))
		handle := s.handle
		s.mu.Unlock()
		if handle == nil || !handle(w, r) {
			s.backend.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
}

// requests returns how many there were since this was last called.
func (s *gitServer) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.paths)
	s.paths, s.authorizations = nil, nil
	return n
}

// dumb makes the server one that knows nothing of git.
func (s *gitServer) dumb() {
	files := http.FileServer(http.Dir(s.root))
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool { files.ServeHTTP(w, r); return true })
}

func (s *gitServer) intercept(handle func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = handle
}

// repo is a repository of the server.
type repo struct {
	t         *testing.T
	dir, work string
	url       string
}

// repo makes an empty one.
func (s *gitServer) repo(name string, args ...string) *repo {
	s.t.Helper()
	r := &repo{t: s.t, dir: filepath.Join(s.root, name), work: s.t.TempDir(), url: s.URL + "/" + name}
	args = append([]string{"init", "--quiet", "--bare", "--initial-branch=main"}, append(args, r.dir)...)
	if out, err := exec.CommandContext(s.t.Context(), "git", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return r
}

// git runs git in the repository and returns what it says.
func (r *repo) git(args ...string) string {
	r.t.Helper()
	return r.gitWith("", args...)
}

func (r *repo) gitWith(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_DIR="+r.dir, "GIT_WORK_TREE="+r.work, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@d",
		"GIT_AUTHOR_DATE=1500000000 +0000", "GIT_COMMITTER_DATE=1577934245 +0000")
	cmd.Dir, cmd.Stdin = r.work, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit adds files to the branch main, and returns the commit. The content "-> x" is a symbolic link to x,
// "#!x" an executable, and "@commit" a submodule.
func (r *repo) commit(files map[string]string) string {
	r.t.Helper()
	for name, content := range files {
		if commit, ok := strings.CutPrefix(content, "@"); ok {
			r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+name)
			continue
		}
		write(r.t, filepath.Join(r.work, name), content)
		r.git("add", "--force", "--", name)
	}
	r.git("commit", "--quiet", "--allow-empty", "-m", "message")
	r.git("update-server-info")
	return r.git("rev-parse", "HEAD")
}

// write writes a file as commit understands it.
func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(name)
	if to, ok := strings.CutPrefix(content, "-> "); ok {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
		return
	}
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// raw makes a commit of a tree of mktree lines, which may be one that git itself would not make.
func (r *repo) raw(lines ...string) string {
	r.t.Helper()
	tree := r.gitWith(strings.Join(lines, "\n")+"\n", "mktree", "--missing")
	commit := r.git("commit-tree", tree, "-m", "message")
	r.git("update-ref", "refs/heads/main", commit)
	r.git("update-server-info")
	return commit
}

func (r *repo) blob(content string) string {
	r.t.Helper()
	return r.gitWith(content, "hash-object", "-w", "--stdin")
}

// modules is a .gitmodules file with a submodule for every pair of a path and an address.
func modules(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "[submodule \"name of %s\"]\n\tpath = %s\n\turl = %s\n", pairs[i], pairs[i], pairs[i+1])
	}
	return b.String()
}

// newGit returns a Git as a build has it. A second one for the same directory is a second build.
func newGit(t *testing.T, dir string) *Git {
	t.Helper()
	g := &Git{Dir: dir, Retry: quickly, Env: []string{"PATH=" + os.Getenv("PATH")}}
	t.Cleanup(g.Close)
	return g
}

func checkout(t *testing.T, g *Git, c Checkout) string {
	t.Helper()
	dir, err := g.Checkout(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantTree checks the files of a checkout, without .git.
func wantTree(t *testing.T, dir, want string) {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(tree(t, dir)) {
		if !strings.Contains(line, " .git") && !strings.Contains(line, "/.git") || strings.Contains(line, ".gitattributes") {
			b.WriteString(line)
		}
	}
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
