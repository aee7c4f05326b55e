//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/seed-298d225e/builder/registry"
)

// startRegistry starts a registry that keeps everything in dir and returns its address. It is docker-registry if
// that is on PATH, else the one that builder has in it.
func startRegistry(ctx context.Context, dir string) (address string, stop func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	program, err := exec.LookPath("docker-registry")
	if isMissing(err) {
		return address, func() { _ = l.Close() }, serveOwn(ctx, l, dir)
	}
	if err != nil {
		return "", nil, err
	}
	_ = l.Close() // it wants to listen by itself
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf(`version: 0.1
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: %s}
log: {level: error, accesslog: {disabled: true}}
`, dir, address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	c := exec.CommandContext(ctx, program, "serve", config)
	if err := c.Start(); err != nil {
		return "", nil, err
	}
	return address, func() { endProcess(c) }, awaitRegistry(ctx, address)
}

func serveOwn(ctx context.Context, l net.Listener, dir string) error {
	h, err := registry.Handler(dir)
	if err != nil {
		return err
	}
	go func() { _ = registry.Serve(ctx, l, h) }() // ends with the listener
	return nil
}

func awaitRegistry(ctx context.Context, address string) error {
	var err error
	for range 100 {
		var r *http.Request
		if r, err = http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v2/", http.NoBody); err != nil {
			return err
		}
		var answer *http.Response
		if answer, err = http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("waiting for the registry: %w", err)
}

// serveModules serves the Go modules that s3 needs, as a module proxy, and returns its URL.
func serveModules(ctx context.Context, dir string) (string, error) {
	cache := filepath.Join(dir, "modules")
	source := filepath.Join(dir, "contexts", "s3")
	list, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return "", err
	}
	own := filepath.Join(dir, "s3.mod") // the command completes the list, which is not to be seen in the context
	if err := os.WriteFile(own, list, 0o600); err != nil {
		return "", err
	}
	for _, args := range [][]string{{"mod", "download"}, {"list", "-deps", "./..."}} {
		c := exec.CommandContext(ctx, "go", args...)
		c.Dir = source
		c.Env = append(c.Environ(), "GOMODCACHE="+cache, "GOFLAGS=-mod=mod -modcacherw -modfile="+own)
		if err := run(c); err != nil {
			return "", err
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: http.FileServer(http.Dir(filepath.Join(cache, "cache", "download"))), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }() // ends with the program
	return "http://" + l.Addr().String(), nil
}
