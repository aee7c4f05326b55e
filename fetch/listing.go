//go:build linux

package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// listing is what has to be known of a commit before its files are written. It takes the output of
// git ls-tree -r -z.
type listing struct {
	// subdir is all that is wanted; "" is everything.
	subdir string
	// files counts the files and submodules that are wanted.
	files int
	// links are the submodules that are wanted, or that have what is wanted.
	links []gitlink
	// modules says that there is a file .gitmodules.
	modules bool
	// blocked, if not empty, is a file where subdir should be or have a directory.
	blocked string

	entries int
	rest    []byte
}

// gitlink is where the tree of a commit has a commit of another repository.
type gitlink struct{ path, commit string }

// mostEntries is how many files a commit may have. A small repository can have any number, by naming the same
// directory over and over.
const mostEntries = 20_000_000

func (r *repository) list(ctx context.Context, commit, subdir string) (*listing, error) {
	l := &listing{subdir: subdir}
	c := command{
		gitDir: r.dir, env: localEnv(), stdout: l,
		args: []string{"ls-tree", "-r", "-z", "--full-tree", commit},
	}
	err := r.git.run(ctx, c)
	if l.entries > mostEntries {
		return nil, fmt.Errorf("the commit has more than %d files", mostEntries)
	}
	return l, err
}

var errTooManyFiles = errors.New("too many files")

// Write implements io.Writer.
func (l *listing) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte{0})
		if !ok {
			return len(p), nil
		}
		l.rest = rest
		if l.entries++; l.entries > mostEntries {
			return 0, errTooManyFiles
		}
		l.add(string(line))
	}
}

// add reads an entry: mode, type and object, and after a tab the path.
func (l *listing) add(line string) {
	properties, name, _ := strings.Cut(line, "\t")
	fields := strings.Fields(properties)
	if len(fields) != 3 {
		return
	}
	mode, object := fields[0], fields[2]
	link := mode == "160000"
	if name == ".gitmodules" && strings.HasPrefix(mode, "100") {
		l.modules = true
	}
	within := l.subdir == "" || strings.HasPrefix(name, l.subdir+"/")
	above := l.subdir == name || strings.HasPrefix(l.subdir, name+"/")
	if within {
		l.files++
	}
	if link && (within || above) {
		l.links = append(l.links, gitlink{path: name, commit: object})
	} else if above {
		l.blocked = name
	}
}

// check reports whether subdir is there.
func (l *listing) check(skipSubmodules bool) error {
	switch {
	case l.blocked != "":
		return fmt.Errorf("the directory %q is not there: %q is a file or a symbolic link", l.subdir, l.blocked)
	case l.files == 0 && l.subdir != "" && (len(l.links) == 0 || skipSubmodules):
		return fmt.Errorf("the directory %q is not there", l.subdir)
	}
	return nil
}

// holds reports whether dir is the submodule itself or in it.
func (k gitlink) holds(dir string) bool { return dir == k.path || strings.HasPrefix(dir, k.path+"/") }
