//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// buildkit is BuildKit without root: buildkitd in rootlesskit, warm, and buildctl.
type buildkit struct {
	place
	process *exec.Cmd
}

func (b *buildkit) name() string { return "buildkit" }

func (b *buildkit) root() string { return filepath.Join(b.dir, "buildkit") }

func (b *buildkit) address() string { return "unix://" + filepath.Join(b.dir, "run", "buildkitd.sock") }

// open starts the daemon.
func (b *buildkit) open(ctx context.Context) error {
	if err := find("buildctl", "buildkitd", "rootlesskit", "runc"); err != nil {
		return err
	}
	if err := b.configure(); err != nil {
		return err
	}
	return b.start(ctx)
}

func (b *buildkit) configuration() string { return filepath.Join(b.dir, "buildkitd.toml") }

func (b *buildkit) configure() error {
	text := fmt.Sprintf("[registry.%q]\n  http = true\n", b.registry)
	return os.WriteFile(b.configuration(), []byte(text), 0o644) //nolint:gosec // the daemon reads it as another user
}

// daemonFlags are the flags of buildkitd.
func (b *buildkit) daemonFlags() []string {
	return []string{
		"--config", b.configuration(), "--root", b.root(), "--rootless",
		"--oci-worker-snapshotter", "overlayfs", "--allow-insecure-entitlement", "network.host",
	}
}

func (b *buildkit) rootlesskit() []string {
	return []string{"--net=host", "--state-dir", filepath.Join(b.dir, "run", "rootlesskit")}
}

// emulate is a script that makes programs for arm64 run in the user namespace of the daemon, if the kernel and the
// machine allow that, and becomes the daemon.
const emulate = `mount -t binfmt_misc none /proc/sys/fs/binfmt_misc &&
printf %s ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$(command -v qemu-aarch64-static)"':F' \
> /proc/sys/fs/binfmt_misc/register
exec buildkitd "$@"`

func (b *buildkit) start(ctx context.Context) error {
	args := append(b.rootlesskit(), "sh", "-c", emulate, "buildkitd", "--addr", b.address())
	b.process = b.command(ctx, "rootlesskit", append(args, b.daemonFlags()...)...)
	log, err := os.Create(filepath.Join(b.dir, "buildkitd.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	b.process.Stdout, b.process.Stderr = log, log
	if err := b.process.Start(); err != nil {
		return err
	}
	for range 100 {
		if err = run(b.command(ctx, "buildctl", "--addr", b.address(), "debug", "workers")); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("waiting for buildkitd: %w", err)
}

func (b *buildkit) close() { endProcess(b.process); b.process = nil }

// reset starts again with nothing; what is removed belongs to mapped ids.
func (b *buildkit) reset(ctx context.Context) error {
	running := b.process != nil
	b.close()
	err := run(b.command(ctx, "rootlesskit", append(b.rootlesskit(), "rm", "-rf", b.root())...))
	if err != nil || !running {
		return err
	}
	return b.start(ctx)
}

func (b *buildkit) build(ctx context.Context, j job) ([]*exec.Cmd, error) {
	return []*exec.Cmd{b.command(ctx, "buildctl", append([]string{"--addr", b.address()}, buildctlArgs(j)...)...)}, nil
}

func buildctlArgs(j job) []string {
	args := []string{
		"build", "--progress", "plain", "--allow", "network.host", "--frontend", "dockerfile.v0",
		"--local", "context=" + j.dir, "--local", "dockerfile=" + j.dir,
		"--opt", "force-network-mode=host", "--output", "type=image,push=true,name=" + j.tag,
	}
	if len(j.platforms) > 0 {
		args = append(args, "--opt", "platform="+strings.Join(j.platforms, ","))
	}
	for _, a := range j.args {
		args = append(args, "--opt", "build-arg:"+a)
	}
	if j.cacheTo != "" {
		args = append(args, "--export-cache", "type=registry,mode=max,ref="+j.cacheTo)
	}
	if j.cacheFrom != "" {
		args = append(args, "--import-cache", "type=registry,ref="+j.cacheFrom)
	}
	return args
}

func (b *buildkit) programs() []string {
	return []string{"buildctl", "buildkitd", "rootlesskit", "runc", "runc_cloned:runc"}
}

func (b *buildkit) daemon() int {
	if b.process == nil {
		return 0
	}
	return b.process.Process.Pid
}

// daemonless is BuildKit with a daemon for each build, as its own script does it.
type daemonless struct{ buildkit }

func (d *daemonless) name() string { return "daemonless" }

func (d *daemonless) open(context.Context) error {
	if err := find("buildctl-daemonless.sh", "buildctl", "buildkitd", "rootlesskit", "runc"); err != nil {
		return err
	}
	return d.configure()
}

func (d *daemonless) close() {}

func (d *daemonless) build(ctx context.Context, j job) ([]*exec.Cmd, error) {
	if len(j.tag) == 0 {
		return nil, errors.New("a build without a tag")
	}
	c := d.command(ctx, "buildctl-daemonless.sh", buildctlArgs(j)...)
	c.Env = append(
		c.Env, "BUILDKITD_FLAGS="+strings.Join(d.daemonFlags(), " "), "ROOTLESSKIT_FLAGS="+strings.Join(d.rootlesskit(), " "),
		"BUILDCTL_CONNECT_RETRIES_MAX=100",
	)
	return []*exec.Cmd{c}, nil
}
