//go:build linux

// Command demo shows what builder does, with no network and nothing installed but what builder itself needs:
// it builds the program, starts a registry, builds the example for two platforms on a base of our own, pushes
// it, shows the index, runs the image of either platform, and builds it once more. It leaves nothing behind.
//
// It is run from the root of the source: make demo.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo runs in a temporary directory.
func demo(ctx context.Context) (err error) {
	if err := checkMachine(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "builder-demo-")
	if err != nil {
		return err
	}
	s := &stage{dir: dir, store: filepath.Join(dir, "store"), program: filepath.Join(dir, "builder")}
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	if err := s.setUp(ctx); err != nil {
		return err
	}
	return s.play(ctx)
}

// play is what there is to see.
func (s *stage) play(ctx context.Context) error {
	image := s.address + "/hello:1"
	build := []string{
		"build", "--platform", "linux/amd64,linux/arm64", "--build-arg", "BASE=" + s.base, "-t", image, "examples/hello",
	}
	say("Build an image for two platforms and push it.")
	if err := s.builder(ctx, build...); err != nil {
		return err
	}
	say("The registry now has an index.")
	if err := s.show(ctx, image); err != nil {
		return err
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		say("Run the program of the %s image, on a step of its own.", platform)
		if err := s.run(ctx, platform, image); err != nil {
			return err
		}
	}
	say("Build it again: nothing has changed, so nothing runs and nothing is moved.")
	return s.builder(ctx, build...)
}
