//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/snapshot"
)

func newFsck() *cobra.Command {
	var root string
	var repair, asJSON bool
	cmd := &cobra.Command{
		Use:   "fsck [OPTIONS]",
		Short: "Read the whole store and say what is damaged",
		Long: `Read every blob, unpacked layer and record of the store and compare it with what it was when it was written.

A blob and a record must have the digest that they are stored with. In an unpacked layer the path, kind, mode, owner,
size, link and extended attributes of every file are compared, and its content: with the SHA-256 sums that add up to the
digest that a layer made here is named by; with CRC-32C sums, noted when it was unpacked, if the layer was pulled. In
that, times must be the same as well, and there may be no other files. All this finds what a disk or an accident has
damaged, not what somebody has changed who can write to the store.

Builds may go on meanwhile. What is damaged is told, and with --repair removed: it is made anew when it is needed. The
exit status is 1 if anything damaged remains.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(root, func(s *snapshot.Store) error {
				r, err := checkStore(cmd.Context(), s, repair)
				if err != nil {
					return err
				}
				if asJSON {
					err = printJSON(r)
				} else {
					err = r.print()
				}
				return errors.Join(err, r.verdict())
			})
		},
	}
	addRoot(cmd.Flags(), &root)
	cmd.Flags().BoolVar(&repair, "repair", false, "remove what is damaged and not in use")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object")
	return cmd
}

// storeReport is what a check of a store has found.
type storeReport struct {
	snapshot.Checked
	Records  int                `json:"records"`
	Problems []snapshot.Problem `json:"problems"`
}

func checkStore(ctx context.Context, s *snapshot.Store, repair bool) (r storeReport, err error) {
	if r.Checked, r.Problems, err = s.Check(ctx, repair); err != nil {
		return r, err
	}
	r.Records, err = cache.Check(s.Path(), func(name string, problem error) error {
		p := snapshot.Problem{Name: name, Text: problem.Error()}
		if repair {
			if err := os.Remove(filepath.Join(s.Path(), name)); err != nil {
				return err
			}
			p.Repaired = true
		}
		r.Problems = append(r.Problems, p)
		return nil
	})
	return r, err
}

func (r *storeReport) print() error {
	for _, p := range r.Problems {
		repaired := ""
		if p.Repaired {
			repaired = " (removed)"
		}
		if _, err := fmt.Fprintf(display.Safe(os.Stdout), "%s: %s%s\n", p.Name, p.Text, repaired); err != nil {
			return err
		}
	}
	elsewhere := ""
	if r.Elsewhere > 0 {
		elsewhere = fmt.Sprintf("; the owners of %s can be told only where they were unpacked", display.Plural(r.Elsewhere, "layer"))
	}
	_, err := fmt.Fprintf(os.Stdout, "checked %s, %s, and %s: %d damaged%s\n",
		display.Plural(r.Objects, "object"), formatSize(r.Bytes), display.Plural(r.Records, "record"), len(r.Problems), elsewhere)
	return err
}

var errDamaged = errors.New("the store is damaged; builder fsck --repair removes what is, and builds make it anew")

// verdict is an error if something damaged remains.
func (r *storeReport) verdict() error {
	for _, p := range r.Problems {
		if !p.Repaired {
			return errDamaged
		}
	}
	return nil
}
