//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/registry"
)

// loginFlags are the flags of login.
type loginFlags struct {
	registryFlags
	user, password string
	fromStdin      bool
}

func newLogin() *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use:   "login [OPTIONS] [REGISTRY]",
		Short: "Keep credentials for a registry",
		Long: `Keep credentials for a registry, after the registry has taken them.

They are kept where docker keeps them: by the credential helper that is configured for the registry, else in
config.json in $DOCKER_CONFIG or in .docker of the home directory; or in the file that $REGISTRY_AUTH_FILE names.
Without REGISTRY it is Docker Hub.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			return f.login(ctx, args)
		},
	}
	s := cmd.Flags()
	f.add(s)
	s.StringVarP(&f.user, "username", "u", "", "name of the user")
	s.StringVarP(&f.password, "password", "p", "", "password or token; others can see it in the list of processes")
	s.BoolVar(&f.fromStdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

func newLogout() *cobra.Command {
	return &cobra.Command{
		Use:   "logout [REGISTRY]",
		Short: "Forget the credentials for a registry",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := registryArgument(args)
			if err != nil {
				return err
			}
			place, err := authFile().Erase(cmd.Context(), r)
			if err == nil {
				fmt.Fprintf(os.Stderr, "removed the credentials for %s from %s\n", r, place)
			}
			return err
		},
	}
}

// registryArgument is the registry that the arguments name.
func registryArgument(args []string) (name.Registry, error) {
	host := name.DefaultRegistry
	if len(args) > 0 {
		host = strings.TrimSuffix(strings.TrimPrefix(args[0], "https://"), "/")
	}
	r, err := name.NewRegistry(host)
	if err != nil {
		return r, &usageError{err}
	}
	return r, nil
}

// authFile is where login keeps credentials.
func authFile() registry.AuthFile {
	path := os.Getenv("REGISTRY_AUTH_FILE")
	if path == "" {
		path = filepath.Join(first(os.Getenv("DOCKER_CONFIG"), filepath.Join(os.Getenv("HOME"), ".docker")), "config.json")
	}
	return registry.AuthFile{Path: path, Run: registry.Run}
}

func (f *loginFlags) login(ctx context.Context, args []string) error {
	r, err := registryArgument(args)
	if err != nil {
		return err
	}
	if err := f.ask(); err != nil {
		return err
	}
	f.creds = []string{r.RegistryStr() + "=" + f.user + ":" + f.password}
	client, err := f.newClient(ctx, registry.Config{}, registry.Run)
	if err != nil {
		return err
	}
	if err := client.Ping(ctx, r); err != nil {
		return err
	}
	place, err := authFile().Store(ctx, r, f.user, f.password)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "logged in to %s as %s; the credentials are kept in %s\n", r, f.user, place)
	return nil
}

// ask completes the user and the password, from standard input.
func (f *loginFlags) ask() error {
	if f.fromStdin {
		if f.user == "" || f.password != "" {
			return usagef("--password-stdin needs --username and excludes --password")
		}
		text, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<16))
		f.password = strings.TrimRight(string(text), "\r\n")
		return err
	}
	if f.user != "" && f.password != "" {
		return nil
	}
	settings, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	if err != nil {
		return usagef("login needs --username and --password-stdin where nobody can be asked")
	}
	lines := bufio.NewReader(os.Stdin)
	if f.user == "" {
		fmt.Fprint(os.Stderr, "Username: ")
		if f.user, err = line(lines); err != nil {
			return err
		}
	}
	silent := *settings
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, &silent); err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, "Password: ")
	f.password, err = line(lines)
	fmt.Fprintln(os.Stderr)
	return errors.Join(err, unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, settings))
}

func line(r *bufio.Reader) (string, error) {
	text, err := r.ReadString('\n')
	return strings.TrimRight(text, "\r\n"), err
}
