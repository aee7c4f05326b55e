//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/registry"
)

func newRegistry() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "registry [OPTIONS] DIRECTORY",
		Short: "Serve a small registry from a directory",
		Long: `Serve a small OCI registry from a directory, for trying things out and for tests.

It listens on the loopback device only unless another address is given, knows no users, and keeps everything
that is pushed to it. It prints its address when it is ready.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("registry needs one argument, the directory")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return serve(cmd.Context(), args[0], address) },
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:5000", "address to listen on; port 0 is any free one")
	return cmd
}

func serve(ctx context.Context, dir, address string) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	h, err := registry.Handler(dir)
	if err != nil {
		return err
	}
	l, err := registry.Listen(ctx, address)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, l.Addr())
	return registry.Serve(ctx, l, h)
}
