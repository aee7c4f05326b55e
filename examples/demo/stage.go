//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/internal/toyimage"
)

// stage is what the demonstration works with.
type stage struct {
	// dir holds everything, store the results of builds, program is builder.
	dir, store, program string
	// address is the registry's, base the name of the base image in it.
	address, base string
	registry      *exec.Cmd
}

// setUp builds the program, starts the registry and puts a base image into it.
func (s *stage) setUp(ctx context.Context) error {
	say("Build builder.")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", s.program, "./cmd/builder")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if err := visibly(build); err != nil {
		return err
	}
	say("Start a registry and put a base image into it.")
	if err := s.startRegistry(ctx); err != nil {
		return err
	}
	return s.pushBase(ctx)
}

func (s *stage) startRegistry(ctx context.Context) error {
	s.registry = exec.CommandContext(ctx, s.program, "registry", "--listen", "127.0.0.1:0", filepath.Join(s.dir, "registry"))
	s.registry.Cancel = func() error { return s.registry.Process.Signal(unix.SIGTERM) }
	s.registry.Stderr = os.Stderr
	out, err := s.registry.StdoutPipe()
	if err != nil {
		return err
	}
	fmt.Println("$", short(s.registry.Args))
	if err := s.registry.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("starting the registry: %w", err)
	}
	s.address = strings.TrimSpace(line)
	fmt.Println(s.address)
	return nil
}

// pushBase makes the base image from source and pushes it.
func (s *stage) pushBase(ctx context.Context) error {
	index, err := toyimage.Index(ctx, v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"})
	if err != nil {
		return err
	}
	s.base = s.address + "/toybox"
	ref, err := name.ParseReference(s.base)
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, index, remote.WithContext(ctx))
}

// builder runs builder as a user would.
func (s *stage) builder(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.Env = append(cmd.Environ(), "BUILDER_ROOT="+s.store)
	return visibly(cmd)
}

// show prints the index of an image as the registry has it.
func (s *stage) show(ctx context.Context, image string) error {
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	index, err := remote.Get(ref, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, index.Manifest, "", "  "); err != nil {
		return err
	}
	fmt.Println(text.String())
	return nil
}

// run starts the image's program: a Dockerfile that says so is built on it.
func (s *stage) run(ctx context.Context, platform, image string) error {
	file := filepath.Join(s.dir, "Dockerfile")
	if err := os.WriteFile(file, []byte("FROM "+image+"\nRUN hello\n"), 0o600); err != nil {
		return err
	}
	return s.builder(ctx, "build", "--platform", platform, "--progress", "plain", "--output", "type=cacheonly", "-f", file, "examples/hello")
}

// close stops the registry and removes everything.
func (s *stage) close(ctx context.Context) error {
	if s.registry != nil && s.registry.Process != nil {
		if err := s.registry.Process.Signal(unix.SIGTERM); err == nil {
			_ = s.registry.Wait() // what it says has been printed
		}
	}
	// Some files of the store belong to subordinate users; builder can remove them.
	prune := exec.CommandContext(ctx, s.program, "prune", "--all", "--root", s.store)
	prune.Stdout = io.Discard
	return errors.Join(prune.Run(), os.RemoveAll(s.dir))
}

// visibly runs a command and shows it.
func visibly(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	fmt.Println("$", short(cmd.Args))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", filepath.Base(cmd.Args[0]), cmd.Args[1], err)
	}
	return nil
}

// short is a command line without the directory of its program.
func short(args []string) string {
	return strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " ")
}

func say(format string, args ...any) { fmt.Printf("\n# "+format+"\n", args...) }
