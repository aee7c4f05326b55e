//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/snapshot"
)

func newDu() *cobra.Command {
	var root string
	var filters []string
	var verbose, asJSON bool
	cmd := &cobra.Command{
		Use:   "du [OPTIONS]",
		Short: "Show what the store keeps and how much room it takes",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			want, err := parseFilters(filters)
			if err != nil {
				return &usageError{err}
			}
			return withStore(root, func(s *snapshot.Store) error {
				all, err := s.Objects()
				if err != nil {
					return err
				}
				all = slices.DeleteFunc(all, func(o snapshot.Object) bool { return !want.fits(o) })
				slices.SortFunc(all, func(a, b snapshot.Object) int { return cmp.Compare(b.Size, a.Size) })
				uses, err := cache.Uses(s.Path())
				if err != nil {
					return err
				}
				switch {
				case asJSON:
					return printJSON(withUses(all, uses))
				case verbose:
					return printObjects(display.Safe(os.Stdout), withUses(all, uses))
				}
				return printKinds(display.Safe(os.Stdout), all)
			})
		},
	}
	addRoot(cmd.Flags(), &root)
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "show only some: type=KIND, until=AGE (not used for so long)")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show every object")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	return cmd
}

// usedObject is an object with the number of steps that have it as their result: one that has several is shared.
type usedObject struct {
	snapshot.Object
	Steps int `json:"steps"`
}

// withUses adds to unpacked layers how many steps have them as their result.
func withUses(all []snapshot.Object, uses map[string]int) []usedObject {
	used := make([]usedObject, len(all))
	for i, o := range all {
		used[i].Object = o
		if o.Kind == snapshot.ObjectTree {
			used[i].Steps = uses[filepath.Base(o.Name)]
		}
	}
	return used
}

// printObjects prints one object a line, the largest first.
func printObjects(w io.Writer, all []usedObject) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tSIZE\tLAST USED\tIN USE\tSTEPS\tOBJECT")
	for _, o := range all {
		name := o.Name
		if o.Text != "" {
			name = o.Text
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", o.Kind, formatSize(o.Size), formatAge(time.Since(o.LastUsed)), yesNo(o.InUse), o.Steps, name)
	}
	return t.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// printKinds prints a line for each kind and the sum.
func printKinds(w io.Writer, all []snapshot.Object) error {
	type sum struct {
		count, used int
		size        int64
		last        time.Time
	}
	sums := map[snapshot.ObjectKind]*sum{}
	var kinds []snapshot.ObjectKind
	var total sum
	for _, o := range all {
		if sums[o.Kind] == nil {
			sums[o.Kind] = &sum{}
			kinds = append(kinds, o.Kind)
		}
		for _, s := range []*sum{sums[o.Kind], &total} {
			s.count++
			s.size += o.Size
			if o.InUse {
				s.used++
			}
			if o.LastUsed.After(s.last) {
				s.last = o.LastUsed
			}
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tOBJECTS\tIN USE\tSIZE\tLAST USED")
	line := func(name string, s *sum) {
		last := "-"
		if !s.last.IsZero() {
			last = formatAge(time.Since(s.last))
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\n", name, s.count, s.used, formatSize(s.size), last)
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		line(string(k), sums[k])
	}
	line("total", &total)
	return t.Flush()
}

// formatSize writes a number of bytes for people.
func formatSize(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffix := float64(n), ""
	for _, suffix = range []string{"kB", "MB", "GB", "TB"} {
		if value /= unit; value < unit {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, suffix)
}

// formatAge writes how long ago something was for people.
func formatAge(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// printJSON prints an answer for programs.
func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
