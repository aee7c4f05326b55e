//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// peer is a builder that is measured.
type peer interface {
	name() string
	// open finds out whether the peer is here and makes it ready.
	open(ctx context.Context) error
	close()
	// reset empties its store.
	reset(ctx context.Context) error
	// build returns the commands that do a job. What the peer cannot do is errCannot.
	build(ctx context.Context, j job) ([]*exec.Cmd, error)
	// programs are the names of its own processes, daemon the process that works for its commands or 0.
	programs() []string
	daemon() int
}

// peerNames are all there are, in the order in which they are shown.
func peerNames() []string { return []string{"builder", "buildkit", "daemonless", "buildah", "kaniko"} }

// errCannot says that a peer has no way to do a job.
var errCannot = errors.New("cannot do this")

// job is one build.
type job struct {
	// dir is the context, tag what the result is pushed as.
	dir, tag  string
	platforms []string
	args      []string
	// cacheTo and cacheFrom name a cache in the registry.
	cacheTo, cacheFrom string
}

// place is where peers work, and as whom.
type place struct {
	// dir belongs to the user.
	dir string
	// user is nil if everything runs as who runs this.
	user *user.User
	// registry is the address of the registry, as it is in names.
	registry string
}

// command returns a command that runs as the user, in a group of its own.
func (p place) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	home, runtime := p.dir, filepath.Join(p.dir, "run")
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + runtime, "TMPDIR=" + filepath.Join(p.dir, "tmp"), "NO_COLOR=1"}
	c.Dir = home
	if p.user == nil {
		return c
	}
	uid, _ := strconv.ParseUint(p.user.Uid, 10, 32)
	gid, _ := strconv.ParseUint(p.user.Gid, 10, 32)
	c.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	c.Env = append(c.Env, "USER="+p.user.Username, "LOGNAME="+p.user.Username)
	return c
}

// below is a place of its own in this one.
func (p place) below(name string) place {
	p.dir = filepath.Join(p.dir, name)
	return p
}

// prepare makes the directories.
func (p place) prepare() error {
	for _, d := range []string{p.dir, filepath.Join(p.dir, "run"), filepath.Join(p.dir, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
		if p.user == nil {
			continue
		}
		uid, _ := strconv.Atoi(p.user.Uid)
		gid, _ := strconv.Atoi(p.user.Gid)
		if err := os.Chown(d, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// find looks for programs on PATH.
func find(programs ...string) error {
	for _, name := range programs {
		if _, err := exec.LookPath(name); isMissing(err) {
			return fmt.Errorf("%s is not on PATH", name)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// builderPeer is the program that all this is about.
type builderPeer struct {
	place
	program string
}

func (b *builderPeer) name() string { return "builder" }

func (b *builderPeer) open(context.Context) error { return find(b.program) }

func (b *builderPeer) close() {}

func (b *builderPeer) store() string { return filepath.Join(b.dir, "builder-store") }

func (b *builderPeer) reset(ctx context.Context) error {
	if _, err := os.Stat(b.store()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := run(b.command(ctx, b.program, "prune", "--all", "--force", "--root", b.store())); err != nil {
		return err
	}
	for _, memory := range []string{"pushed", "tags"} { // or else what earlier runs have pushed would be mounted
		if err := os.Remove(filepath.Join(b.store(), memory)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (b *builderPeer) build(ctx context.Context, j job) ([]*exec.Cmd, error) {
	args := []string{"build", "--root", b.store(), "--progress", "plain", "--network", "host", "--allow", "network.host", "-t", j.tag}
	if len(j.platforms) > 0 {
		args = append(args, "--platform", strings.Join(j.platforms, ","))
	}
	for _, a := range j.args {
		args = append(args, "--build-arg", a)
	}
	if j.cacheTo != "" {
		args = append(args, "--cache-to", "type=registry,mode=max,ref="+j.cacheTo)
	}
	if j.cacheFrom != "" {
		args = append(args, "--cache-from", "type=registry,ref="+j.cacheFrom)
	}
	return []*exec.Cmd{b.command(ctx, b.program, append(args, j.dir)...)}, nil
}

func (b *builderPeer) programs() []string {
	return []string{filepath.Base(b.program), "passt", "passt.avx2", "pasta", "slirp4netns"}
}

func (b *builderPeer) daemon() int { return 0 }
