//go:build linux

package fetch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// Submodules are fetched so many at once, and may have submodules themselves so many times over.
const (
	submodulesAtOnce = 4
	submoduleDepth   = 32
)

// submodule is what .gitmodules says about a directory (gitmodules(5)).
type submodule struct{ name, path, url, update string }

// submodules are those of a commit.
type submodules struct {
	*listing
	// known says by their directories what .gitmodules has about them.
	known map[string]submodule
	// depth is how many repositories are around this one.
	depth int
}

// submodules fills the directories of submodules. Of .gitmodules nothing but addresses is believed, and that
// a submodule is to be left out.
func (w workTree) submodules(ctx context.Context, s source, all submodules) error {
	if all.depth == submoduleDepth {
		return fmt.Errorf("submodules are nested more than %d deep", submoduleDepth)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(submodulesAtOnce)
	for _, link := range all.links {
		g.Go(func() error {
			if err := w.submodule(gctx, s, all, link); err != nil {
				return fmt.Errorf("submodule %q: %w", link.path, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil || !w.keepGitDir {
		return err
	}
	return w.register(ctx, s, all)
}

// submodule fills the directory of one.
func (w workTree) submodule(ctx context.Context, s source, all submodules, link gitlink) error {
	m := all.known[link.path]
	if m.update == "none" {
		return nil
	}
	r, err := w.git.submoduleRemote(s, m)
	if err != nil {
		return err
	}
	inner := w
	if inner.dir, err = realDir(w.dir, link.path); err != nil {
		return err
	}
	subdir := ""
	if link.holds(all.subdir) {
		subdir = cleanPath(all.subdir[len(link.path):])
	}
	in := source{remote: r, top: s.top, ref: link.commit, commit: link.commit}
	return inner.fill(ctx, in, subdir, all.depth+1)
}

// register notes in .git/config which submodules are there, as git submodule init does.
func (w workTree) register(ctx context.Context, s source, all submodules) error {
	for _, link := range all.links {
		m := all.known[link.path]
		if m.update == "none" {
			continue
		}
		r, err := w.git.submoduleRemote(s, m)
		if err != nil {
			return err
		}
		for _, setting := range []config{{"active", "true"}, {"url", r.url}} {
			if err := w.run(ctx, "config", "submodule."+m.name+"."+setting.name, setting.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// submoduleRemote returns where a submodule of s comes from.
func (g *Git) submoduleRemote(s source, m submodule) (remote, error) {
	address := m.url
	if address == "" {
		return remote{}, errors.New("no address in .gitmodules; submodules=false leaves submodules out")
	}
	if strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../") {
		var err error
		if address, err = relativeTo(s.remote.url, address); err != nil {
			return remote{}, err
		}
	}
	return parseRemote(address, g.submoduleProtocols())
}

// realDir makes the directory of a submodule, if git has not, and makes sure that no link leads to it.
func realDir(root, name string) (string, error) {
	name = cleanPath(name)
	r, err := os.Open(root)
	if err != nil {
		return "", err
	}
	defer r.Close()
	made, err := inroot.Directory(r, name, nil)
	if err != nil {
		return "", err
	}
	made.Close()
	d, err := inroot.OpenReal(r, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	return filepath.Join(root, name), d.Close()
}

// submodules returns what .gitmodules says, by the path of the directory.
func (r *repository) submodules(ctx context.Context, commit string, l *listing) (map[string]submodule, error) {
	if !l.modules || len(l.links) == 0 {
		return nil, nil
	}
	text, err := r.output(ctx, "config", "--blob", commit+":.gitmodules", "-z", "--get-regexp", `^submodule\..*\.(path|url|update)$`)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return nil, nil // it has none of these
	}
	if err != nil {
		return nil, fmt.Errorf("reading .gitmodules: %w", err)
	}
	return parseModules(text), nil
}

// parseModules reads the output of git config -z: names and values, each name on a line of its own.
func parseModules(text string) map[string]submodule {
	byName := map[string]submodule{}
	for setting := range strings.SplitSeq(text, "\x00") {
		key, value, _ := strings.Cut(setting, "\n")
		name, variable := strings.TrimPrefix(key, "submodule."), ""
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			name, variable = name[:i], name[i+1:]
		}
		m := byName[name]
		m.name = name
		switch variable {
		case "path":
			m.path = cleanPath(value)
		case "url":
			m.url = value
		case "update":
			m.update = value
		}
		byName[name] = m
	}
	byPath := map[string]submodule{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		byPath[byName[name].path] = byName[name]
	}
	return byPath
}
