//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/registry"
)

// indexFlags are the flags of index create and append.
type indexFlags struct {
	registryFlags
	tags, annotations []string
	dryRun            bool
}

func newIndex() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index",
		Short: "Merge images that were built by separate jobs",
		Args:  noArgs,
	}
	cmd.AddCommand(
		newMerge("create", "Make an index of images and push it",
			`Make an index of images and push it.

Each SOURCE is the name of an image or of an index, of which all entries are taken, or a file that --metadata-file
has written. Images that are not in the repository of a tag are copied there.`, (*indexFlags).create),
		newMerge("append", "Add images to an index, or replace those for the same platform",
			`Add images to the index that the first tag stands for, and push it under all tags. An image for a platform that
the index has already takes its place.`, (*indexFlags).append),
	)
	inspect := newInspect()
	inspect.Short = "Show what an index holds"
	cmd.AddCommand(inspect)
	return cmd
}

func newMerge(word, short, long string, do func(*indexFlags, context.Context, *merge, []string) error) *cobra.Command {
	var f indexFlags
	cmd := &cobra.Command{
		Use:   word + " [OPTIONS] SOURCE...",
		Short: short,
		Long:  long,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(f.tags) == 0 {
				return usagef("index %s needs --tag and at least one source", word)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			client, err := f.newClient(ctx, registry.Config{}, registry.Run)
			if err != nil {
				return err
			}
			return do(&f, ctx, &merge{client: client, out: os.Stdout}, args)
		},
	}
	s := cmd.Flags()
	f.add(s)
	s.StringArrayVarP(&f.tags, "tag", "t", nil, "name of the index")
	s.StringArrayVar(&f.annotations, "annotation", nil, "add an annotation, [index:|manifest-descriptor[PLATFORM]:]NAME=VALUE")
	s.BoolVar(&f.dryRun, "dry-run", false, "print the index instead of pushing it")
	return cmd
}

// create makes an index of the sources.
func (f *indexFlags) create(ctx context.Context, m *merge, sources []string) error {
	for _, s := range sources {
		if err := m.take(ctx, s); err != nil {
			return err
		}
	}
	return f.publish(ctx, m)
}

// append adds the sources to what the first tag stands for.
func (f *indexFlags) append(ctx context.Context, m *merge, sources []string) error {
	m.replace = true
	err := m.take(ctx, f.tags[0])
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.create(ctx, m, sources)
}

// publish pushes the index to all tags, after what it refers to.
func (f *indexFlags) publish(ctx context.Context, m *merge) error {
	var notes annotations
	for _, s := range f.annotations {
		a, err := parseAnnotation(s)
		if err != nil {
			return usagef("--annotation: %w", err)
		}
		for i := range a {
			if a[i].on == manifest { // there is nothing else that could be meant
				a[i].on = wholeIndex
			}
		}
		notes = append(notes, a...)
	}
	index := m.index(notes)
	raw, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if f.dryRun {
		_, err := fmt.Fprintf(m.out, "%s\n", raw)
		return err
	}
	targets, err := mergeTargets(f.tags)
	if err != nil {
		return &usageError{err}
	}
	var g errgroup.Group
	for repo, tags := range targets {
		g.Go(func() error { return m.push(ctx, repo, index.MediaType, raw, tags) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(m.out, digest)
	return err
}
