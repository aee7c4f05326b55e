//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// scenario is something that users wait for.
type scenario struct {
	id, title string
	// context is the directory below contexts.
	context   string
	platforms []string
	runs      int
	// before does what a build finds done already; it is not measured. It gets the number of the run.
	before func(b *bench, ctx context.Context, p peer, j *job, run int) error
	// delay is how long each request to the registry takes on its way.
	delay time.Duration
}

// scenarios are all that is measured, in order; large is the size of the large context in MiB.
func scenarios(large int) []scenario {
	return []scenario{
		{id: "S1", title: "nothing changed, 12 steps, 1,700 files", context: "s1", runs: 15, before: (*bench).warm},
		{id: "S2", title: "cold: a RUN of 1,000 files, a COPY of 200", context: "s2", runs: 5, before: (*bench).cold},
		{id: "S3", title: "cold: a Go program, two stages", context: "s3", runs: 3, before: (*bench).cold},
		{id: "S4", title: "the same, one file edited", context: "s3", runs: 5, before: (*bench).edit},
		{id: "S5", title: "50,000 files made, half removed, one changed", context: "s5", runs: 3, before: (*bench).cold},
		{id: "S6", title: fmt.Sprintf("COPY of %d MiB, half of it random", large), context: "s6", runs: 3, before: (*bench).cold},
		{id: "S7", title: "two platforms with RUN, as an index", context: "s7", runs: 5, platforms: []string{"linux/amd64", "linux/arm64"}, before: (*bench).cold},
		{id: "S8", title: "one small COPY on a 400 MB base", context: "s8", runs: 5, before: (*bench).cold},
		{id: "S9", title: "four stages of 3 s side by side", context: "s9", runs: 3, before: (*bench).ready},
		{id: "S10", title: "100 RUN steps in ten chains", context: "s10", runs: 5, before: (*bench).cold},
		{id: "S11", title: "S3 from a registry cache, 20 ms a request", context: "s3", runs: 5, delay: 20 * time.Millisecond, before: (*bench).cached},
	}
}

// cold empties the store.
func (b *bench) cold(ctx context.Context, p peer, _ *job, _ int) error { return p.reset(ctx) }

// ready empties the store and pulls the base image.
func (b *bench) ready(ctx context.Context, p peer, j *job, n int) error {
	if err := p.reset(ctx); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "contexts", "ready")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text := fmt.Sprintf("FROM %s/busybox:1\nRUN echo %d > /ready\n", b.prefix(), n)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644); err != nil { //nolint:gosec // others build it
		return err
	}
	return b.quietly(ctx, p, job{dir: dir, tag: j.tag + "-ready"})
}

// warm builds once before the first run.
func (b *bench) warm(ctx context.Context, p peer, j *job, n int) error {
	j.tag = b.tag("warm-" + p.name())
	if n > 0 {
		return nil
	}
	if err := p.reset(ctx); err != nil {
		return err
	}
	return b.quietly(ctx, p, *j)
}

// edit builds once before the first run, and changes one file before each.
func (b *bench) edit(ctx context.Context, p peer, j *job, n int) error {
	if n == 0 {
		if err := p.reset(ctx); err != nil {
			return err
		}
		if err := b.quietly(ctx, p, *j); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("package p60\n\nimport \"os\"\n\nfunc init() {\n\tif len(os.Args) > 1000 {\n\t\tprintln(\"edit %d for %s\")\n\t}\n}\n", n, p.name())
	return os.WriteFile(filepath.Join(j.dir, "internal", "p60", "edit.go"), []byte(text), 0o644) //nolint:gosec // others build it
}

// cached fills a cache in the registry before the first run, and empties the store before each.
func (b *bench) cached(ctx context.Context, p peer, j *job, n int) error {
	ref := b.tag("cache-" + p.name())
	if n == 0 {
		if err := p.reset(ctx); err != nil {
			return err
		}
		fill := *j
		fill.cacheTo = ref
		if err := b.quietly(ctx, p, fill); err != nil {
			return err
		}
	}
	j.cacheFrom = ref
	return p.reset(ctx)
}

// quietly builds without measuring.
func (b *bench) quietly(ctx context.Context, p peer, j job) error {
	commands, err := p.build(ctx, j)
	if err != nil {
		return err
	}
	for _, c := range commands {
		if err := run(c); err != nil {
			return err
		}
	}
	return nil
}
