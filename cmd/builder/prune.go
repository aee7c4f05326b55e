//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

func newPrune() *cobra.Command {
	var root, keep string
	var filters, shared []string
	var registries registryFlags
	var all, force, asJSON bool
	cmd := &cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "Remove what the store keeps and no build is using",
		Long: `Remove what the store keeps and no build is using, the least recently used first.

Cache mounts are only removed with --all or --filter type=cachemount: all else can be made again.

With --cache-to a shared cache is pruned instead, the oldest first: a registry, if it lets manifests be deleted, or a directory. For
others see docs/CACHE.md.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			want, err := parseFilters(filters)
			if err != nil {
				return &usageError{err}
			}
			p := snapshot.Prune{Unused: want.unused, Kinds: want.kinds}
			if len(p.Kinds) == 0 && !all {
				p.Kinds = rebuildable()
			}
			if keep != "" {
				if p.Keep, err = parseSize(keep); err != nil {
					return usagef("--keep-storage: %w", err)
				}
			}
			if len(shared) > 0 {
				return registries.prune(cmd.Context(), shared, cache.Prune{Before: before(want.unused), Keep: p.Keep}, asJSON)
			}
			return withStore(root, func(s *snapshot.Store) error {
				removed, err := s.Prune(p)
				if asJSON && err == nil {
					return printJSON(removed)
				}
				if printing := reportPruned(removed); err == nil {
					err = printing
				}
				return err
			})
		},
	}
	addRoot(cmd.Flags(), &root)
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove cache mounts too")
	cmd.Flags().StringVar(&keep, "keep-storage", "", "keep so much, such as 10GB")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "remove only some: type=KIND, until=AGE (not used for so long)")
	cmd.Flags().StringArrayVar(&shared, "cache-to", nil, "prune a shared cache: type=registry,ref=REPOSITORY[:PREFIX] or type=local,dest=DIRECTORY")
	registries.add(cmd.Flags())
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask (never done; accepted for compatibility)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of what was removed")
	return cmd
}

// rebuildable are the kinds of objects that a build makes again when it needs them.
func rebuildable() []snapshot.ObjectKind {
	return slices.DeleteFunc(objectKinds(), func(k snapshot.ObjectKind) bool { return k == snapshot.ObjectCacheMount })
}

func objectKinds() []snapshot.ObjectKind {
	return []snapshot.ObjectKind{
		snapshot.ObjectTree, snapshot.ObjectBlob, snapshot.ObjectCacheMount, snapshot.ObjectRecord, snapshot.ObjectScan,
		downloads{}.Kind(),
	}
}

func reportPruned(removed []snapshot.Object) error {
	var size int64
	for _, o := range removed {
		size += o.Size
	}
	_, err := fmt.Fprintf(os.Stdout, "removed %s, %s\n", display.Plural(len(removed), "object"), formatSize(size))
	return err
}

// objectFilter says which objects are meant.
type objectFilter struct {
	kinds  []snapshot.ObjectKind
	unused time.Duration
}

// fits reports whether o is meant.
func (f objectFilter) fits(o snapshot.Object) bool {
	return (len(f.kinds) == 0 || slices.Contains(f.kinds, o.Kind)) && time.Since(o.LastUsed) >= f.unused
}

// parseFilters reads --filter, several KEY=VALUE fields separated by commas.
func parseFilters(list []string) (f objectFilter, err error) {
	for _, s := range list {
		for field := range strings.SplitSeq(s, ",") {
			key, value, _ := strings.Cut(field, "=")
			switch key {
			case "until":
				if f.unused, err = parseAge(value); err != nil {
					return f, fmt.Errorf("--filter %s: %w", field, err)
				}
			case "type":
				kind := snapshot.ObjectKind(value)
				if value == "exec.cachemount" { // as docker calls it
					kind = snapshot.ObjectCacheMount
				}
				if !slices.Contains(objectKinds(), kind) {
					return f, fmt.Errorf("--filter %s: the type must be one of %v", field, objectKinds())
				}
				f.kinds = append(f.kinds, kind)
			default:
				return f, fmt.Errorf("--filter %s: it must be type=KIND or until=AGE", field)
			}
		}
	}
	return f, nil
}

// parseAge reads a duration, also in days, such as 7d.
func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("the age must be like 24h or 7d")
	}
	return d, nil
}

// addRoot adds the flag that names the store.
func addRoot(s *pflag.FlagSet, root *string) {
	s.StringVar(root, "root", "", "directory of the store (default: $BUILDER_ROOT, else $XDG_CACHE_HOME/builder)")
}

// withStore does something with the store from inside the namespaces, where its files can be handled.
func withStore(flag string, do func(*snapshot.Store) error) error {
	path, err := storePath(flag)
	if err != nil {
		return err
	}
	w, err := enter(sandbox.RungUserns, path, display.Options{Mode: display.Quiet, Out: os.Stderr}, nil)
	if err != nil {
		return err
	}
	if err := w.openStore(snapshot.DriverAuto); err != nil {
		return err
	}
	err = do(w.store)
	return errors.Join(err, w.close())
}
