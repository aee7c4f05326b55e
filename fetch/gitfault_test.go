//go:build linux

package fetch

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noise is text that does not compress.
func noise(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte('!' + r.IntN(90))
	}
	return string(b)
}

// The connection breaks in the middle of a pack, once.
func TestGitCutOnce(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git")
	content := noise(1 << 20)
	id := r.commit(map[string]string{"f": content})
	cuts := 0
	s.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost || cuts > 0 {
			return false
		}
		rec := httptest.NewRecorder()
		s.backend.ServeHTTP(rec, req)
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		if rec.Body.Len() < len(content)/2 { // it is not the pack
			_, _ = w.Write(rec.Body.Bytes())
			return true
		}
		cuts++
		_, _ = w.Write(rec.Body.Bytes()[:len(content)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	dir := checkout(t, newGit(t, t.TempDir()), Checkout{Commit: Commit{Remote: r.url, ID: id}})
	got, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil || string(got) != content || cuts != 1 {
		t.Errorf("got %d bytes, %v; %d cuts", len(got), err, cuts)
	}
}

func TestGitServerErrors(t *testing.T) {
	s := newGitServer(t)
	r, _, second := sample(s)
	n := 0
	s.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if n++; n <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	g := newGit(t, t.TempDir())
	if _, err := g.Resolve(t.Context(), r.url, ""); err != nil {
		t.Error(err)
	}
	s.intercept(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true })
	s.requests()
	_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: second}})
	wantError(t, err, "returned error: 502")
	if n := s.requests(); n != 5 {
		t.Errorf("got %d tries", n)
	}
}

// A build ends in the middle of a fetch; git goes with it, and the next build works.
func TestGitCancel(t *testing.T) {
	s := newGitServer(t)
	r, _, second := sample(s)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	s.intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, req.Body) // else it is not noticed that the other side is gone
			cancel(stop)
			<-req.Context().Done()
		}
		return false
	})
	g := newGit(t, t.TempDir())
	_, err := g.Checkout(ctx, Checkout{Commit: Commit{Remote: r.url, ID: second}})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	wantNoDrafts(t, g.Dir)
	s.intercept(nil)
	checkout(t, g, Checkout{Commit: Commit{Remote: r.url, ID: second}})
}

func TestGitTimeout(t *testing.T) {
	s := newGitServer(t)
	r, _, _ := sample(s)
	s.intercept(func(_ http.ResponseWriter, req *http.Request) bool { <-req.Context().Done(); return true })
	g := newGit(t, t.TempDir())
	g.Timeout = 100 * time.Millisecond
	_, err := g.Resolve(t.Context(), r.url, "")
	wantError(t, err, "git ls-remote took longer than 100ms")
	if n := s.requests(); n > 1 { // git may not have come that far
		t.Errorf("got %d tries", n)
	}
}

func TestGitMaxSize(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git")
	id := r.commit(map[string]string{"f": noise(1 << 20)})
	g := newGit(t, t.TempDir())
	g.MaxSize = 100 << 10
	_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: id}})
	wantError(t, err, "damaged or too large", "git fetch")
}

// What a git that was killed has left behind is in nobody's way.
func TestLeftovers(t *testing.T) {
	s := newGitServer(t)
	r, first, second := sample(s)
	g := newGit(t, t.TempDir())
	checkout(t, g, Checkout{Commit: Commit{Remote: r.url, ID: first}})
	dir := repositoryOf(t, g.Dir)
	var left []string
	for _, name := range []string{"shallow.lock", "config.lock", "packed-refs.lock", "refs/commits/" + second + ".lock", "objects/pack/tmp_pack_x"} {
		left = append(left, filepath.Join(dir, name))
		write(t, filepath.Join(dir, name), "x")
	}
	checkout(t, g, Checkout{Commit: Commit{Remote: r.url, ID: second}})
	for _, name := range left {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

func repositoryOf(t *testing.T, store string) string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(store, repositoriesDir, "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	return dirs[0]
}

// Whichever file of a repository is damaged: it is fetched anew.
func TestDamagedRepository(t *testing.T) {
	s := newGitServer(t)
	r, first, second := sample(s)
	for name, damage := range map[string]func(name string) error{
		"empty": func(name string) error { return os.Truncate(name, 0) },
		"gone":  os.Remove,
		"flipped": func(name string) error {
			b, err := os.ReadFile(name)
			if err == nil && len(b) > 0 {
				b[len(b)/2] ^= 0xff
				err = errors.Join(os.Chmod(name, 0o600), os.WriteFile(name, b, 0o600))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			pristine := t.TempDir()
			checkout(t, newGit(t, pristine), Checkout{Commit: Commit{Remote: r.url, ID: first}})
			n := len(filesOf(t, repositoryOf(t, pristine)))
			for i := range n {
				store := t.TempDir()
				if err := os.CopyFS(store, os.DirFS(pristine)); err != nil {
					t.Fatal(err)
				}
				victim := filesOf(t, repositoryOf(t, store))[i]
				if err := damage(victim); err != nil {
					t.Fatal(err)
				}
				g := newGit(t, store)
				for _, id := range []string{first, second} {
					dir, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, Ref: "old", ID: id}, Subdir: "dir"})
					if err != nil {
						t.Fatalf("%s: %v", filepath.Base(victim), err)
					}
					wantTree(t, dir, "drwxr-xr-x sub\n-rw-r--r-- sub/f \"x\"\n-rw-r--r-- x.bat \"a\\r\\n\"\n")
				}
			}
		})
	}
}

func filesOf(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A checkout that was changed on the disk is not used.
func TestDamagedCheckout(t *testing.T) {
	s := newGitServer(t)
	r, first, _ := sample(s)
	store := t.TempDir()
	c := Checkout{Commit: Commit{Remote: r.url, ID: first}}
	for name, damage := range map[string]func(dir string) error{
		"changed": func(dir string) error { return os.WriteFile(filepath.Join(dir, "dir/sub/f"), []byte("y"), 0o644) },
		"more":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "more"), nil, 0o644) },
		"gone":    func(dir string) error { return os.RemoveAll(filepath.Join(dir, "dir")) },
		"mode":    func(dir string) error { return os.Chmod(filepath.Join(dir, "file"), 0o755) },
		"empty":   os.RemoveAll,
		"other boot": func(dir string) error {
			name := filepath.Join(dir, "../record")
			b, err := os.ReadFile(name)
			return errors.Join(err, os.WriteFile(name, []byte(strings.Replace(string(b), bootID()[:8], "00000000", 1)), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGit(t, store)
			want := tree(t, checkout(t, g, c))
			s.requests()
			if err := damage(checkout(t, g, c)); err != nil {
				t.Fatal(err)
			}
			g.Close()
			if got := tree(t, checkout(t, newGit(t, store), c)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if n := s.requests(); n != 0 {
				t.Errorf("the server was asked %d times", n)
			}
		})
	}
}

// What the user has configured has no effect: neither hooks, nor filters, nor other addresses.
func TestUserConfigurationIsIgnored(t *testing.T) {
	s := newGitServer(t)
	r := s.repo("r.git")
	id := r.commit(map[string]string{"f": "x", ".gitattributes": "* filter=evil\n", ".gitconfig": "[core]\n", "hooks/post-checkout": "#!/bin/sh\n"})
	home, canary := t.TempDir(), filepath.Join(t.TempDir(), "canary")
	write(t, filepath.Join(home, "hook/post-checkout"), "#!/bin/sh\ntouch "+canary)
	write(t, filepath.Join(home, "template/hooks/post-checkout"), "#!/bin/sh\ntouch "+canary)
	write(t, filepath.Join(home, ".gitconfig"), "[core]\n\thooksPath = "+home+"/hook\n\tfsmonitor = touch "+canary+
		"\n[init]\n\ttemplateDir = "+home+"/template\n[filter \"evil\"]\n\tsmudge = touch "+canary+"\n\trequired = true\n"+
		"[url \"file:///nowhere/\"]\n\tinsteadOf = "+s.URL+"/\n[credential]\n\thelper = !touch "+canary+"\n")
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("GIT_TEMPLATE_DIR", filepath.Join(home, "template"))
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig"))
	for _, keep := range []bool{false, true} {
		checkout(t, newGit(t, t.TempDir()), Checkout{Commit: Commit{Remote: r.url, Ref: "main", ID: id}, KeepGitDir: keep})
	}
	if _, err := os.Lstat(canary); err == nil {
		t.Error("a command was run")
	}
}

// Nothing that is taken for an option, or for a command, gets to git.
func TestHostileAddresses(t *testing.T) {
	canary := filepath.Join(t.TempDir(), "canary")
	g := newGit(t, t.TempDir())
	g.Protocols = []string{"https", "http", "ssh", "git", "file"}
	id := strings.Repeat("ab", 20)
	for _, address := range []string{
		"ext::sh -c touch% " + canary, "ext::touch " + canary, "fd::3", "--upload-pack=touch " + canary, "-oProxyCommand=touch " + canary + ":x",
		"ssh://-oProxyCommand=touch%20x/r", "ssh://-x@h/r", "ssh://h/-x", "git@-oProxyCommand=x:r", "git@h:-x", "git@h::x", "", "/etc", "./x",
		"https://", "https://h\n/r", "http://h/\x00", "ftp://h/r", "git+ssh://h/r", "h",
	} {
		for what, f := range map[string]func() error{
			"resolve":     func() error { _, err := g.Resolve(t.Context(), address, "main"); return err },
			"commit time": func() error { _, err := g.CommitTime(t.Context(), Commit{Remote: address, ID: id}); return err },
			"checkout": func() error {
				_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: address, ID: id}})
				return err
			},
		} {
			if err := f(); err == nil || !strings.Contains(err.Error(), "refusing the git repository") {
				t.Errorf("%s of %q: got %v", what, address, err)
			}
		}
	}
	for _, address := range []string{"ftp://u:s3cret@h/r", "https://u:s3cret/s3cret@h/r", "https://u:s3cret@h:port/r"} {
		_, err := g.Resolve(t.Context(), address, "main")
		wantError(t, err, "refusing the git repository")
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	for _, ref := range []string{"--upload-pack=touch " + canary, "-x", "+a:b", "a:b", "refs/heads/*"} {
		_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: "https://h/r.git", Ref: ref, ID: id}})
		wantError(t, err, "invalid git ref")
	}
	if _, err := os.Lstat(canary); err == nil {
		t.Error("a command was run")
	}
}
