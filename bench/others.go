//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// buildah is Buildah without root.
type buildah struct{ place }

func (b *buildah) name() string { return "buildah" }

func (b *buildah) open(context.Context) error { return find("buildah", "runc") }

func (b *buildah) close() {}

// store are the flags that say where everything is kept.
func (b *buildah) store() []string {
	return []string{
		"--root", filepath.Join(b.dir, "buildah"), "--runroot", filepath.Join(b.dir, "run", "buildah"), "--storage-driver", "overlay",
	}
}

func (b *buildah) reset(ctx context.Context) error {
	return run(b.command(ctx, "buildah", append(b.store(), "unshare", "rm", "-rf", filepath.Join(b.dir, "buildah"), filepath.Join(b.dir, "run", "buildah"))...))
}

func (b *buildah) build(ctx context.Context, j job) ([]*exec.Cmd, error) {
	if len(j.platforms) > 0 {
		return nil, fmt.Errorf("%w: it has no emulation of its own", errCannot)
	}
	args := append(b.store(), "build", "--layers", "--network", "host", "--tls-verify=false", "--runtime", "runc", "-t", j.tag)
	for _, a := range j.args {
		args = append(args, "--build-arg", a)
	}
	if j.cacheTo != "" {
		args = append(args, "--cache-to", withoutTag(j.cacheTo))
	}
	if j.cacheFrom != "" {
		args = append(args, "--cache-from", withoutTag(j.cacheFrom))
	}
	push := append(b.store(), "push", "--tls-verify=false", j.tag)
	return []*exec.Cmd{b.command(ctx, "buildah", append(args, j.dir)...), b.command(ctx, "buildah", push...)}, nil
}

func withoutTag(ref string) string {
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		return ref[:i]
	}
	return ref
}

func (b *buildah) programs() []string { return []string{"buildah", "runc", "conmon", "fuse-overlayfs"} }

func (b *buildah) daemon() int { return 0 }

// kaniko is kaniko, which takes the whole file system it runs in as its own: it gets one.
type kaniko struct{ place }

func (k *kaniko) name() string { return "kaniko" }

func (k *kaniko) open(context.Context) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root", errCannot)
	}
	return find("kaniko-executor", "unshare")
}

func (k *kaniko) close() { _ = os.RemoveAll(k.root()) }

func (k *kaniko) root() string { return filepath.Join(k.dir, "kaniko") }

// reset does nothing: a build leaves nothing that the next one would use, but in the registry.
func (k *kaniko) reset(context.Context) error { return nil }

// enter is a script that runs kaniko in its own root: ROOT CONTEXT FLAGS....
const enter = `root=$1 context=$2; shift 2
mount --bind "$context" "$root/workspace" && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
exec chroot "$root" /kaniko/executor "$@"`

func (k *kaniko) build(ctx context.Context, j job) ([]*exec.Cmd, error) {
	if len(j.platforms) > 0 {
		return nil, fmt.Errorf("%w: it has no emulation of its own", errCannot)
	}
	if err := k.fresh(); err != nil {
		return nil, err
	}
	args := []string{
		"-m", "-p", "-f", "sh", "-c", enter, "sh", k.root(), j.dir,
		"--force", "--context", "dir:///workspace", "--dockerfile", "/workspace/Dockerfile", "--insecure", "--insecure-pull",
		"--cache", "--cache-repo", k.registry + "/cache/kaniko", "--destination", j.tag,
	}
	for _, a := range j.args {
		args = append(args, "--build-arg", a)
	}
	c := exec.CommandContext(ctx, "unshare", args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/root"}
	return []*exec.Cmd{c}, nil
}

// fresh makes a root that nothing was built in.
func (k *kaniko) fresh() error {
	if err := os.RemoveAll(k.root()); err != nil {
		return err
	}
	for _, d := range []string{"kaniko/.docker", "workspace", "proc", "dev", "etc", "tmp"} {
		if err := os.MkdirAll(filepath.Join(k.root(), d), 0o755); err != nil {
			return err
		}
	}
	program, err := exec.LookPath("kaniko-executor")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(k.root(), "kaniko/executor"), text, 0o755) //nolint:gosec // a program
}

func (k *kaniko) programs() []string { return []string{"executor"} }

func (k *kaniko) daemon() int { return 0 }
