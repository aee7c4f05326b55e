//go:build linux

package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/solver"
)

func newDag() *cobra.Command {
	var f buildFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "dag [OPTIONS] CONTEXT",
		Short: "Print the graph of steps that build would run, and run nothing",
		Long: `Print the graph of steps that build would run with the same options, and run nothing.

Names are resolved, so registries may be asked. Every step is printed once, after those that it depends on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args)
			if err != nil {
				return err
			}
			o.method = callGraph
			o.json = asJSON
			return o.run(cmd.Context())
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of steps, each with what its cache keys say of it")
	return cmd
}

// graph prints the graph.
func (b *build) graph(ctx context.Context) error {
	if err := b.lower(ctx); err != nil {
		return err
	}
	roots := b.roots()
	if !b.json {
		return solver.Print(os.Stdout, roots)
	}
	return printJSON(solver.Definitions(roots))
}
