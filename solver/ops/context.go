//go:build linux

package ops

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/patternmatcher"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// contextFS is a directory of the user as a build sees it: everything belongs to root, nothing has extended
// attributes, as with BuildKit, and what the ignore patterns exclude is not there.
type contextFS struct {
	dir  snapshot.Dir
	sums *snapshot.Sums
	// matcher is nil if nothing is excluded.
	matcher *patternmatcher.PatternMatcher
	// epoch is the time of all files, nil if they have their own.
	epoch *time.Time

	mu sync.Mutex
	// matches remembers how directories matched, which decides about what is in them.
	matches map[string]patternmatcher.MatchInfo
}

// context returns the FS of a local tree; the same for all who ask.
func (w *Worker) context(f *solver.Files) (*contextFS, error) {
	key := f.Dir + "\x00" + strings.Join(f.Exclude, "\x00")
	once, _ := w.contexts.LoadOrStore(key, sync.OnceValues(func() (*contextFS, error) { return w.openContext(f) }))
	open, ok := once.(func() (*contextFS, error))
	if !ok {
		return nil, fmt.Errorf("opening the context %s: unknown state", f.Dir)
	}
	return open()
}

func (w *Worker) openContext(f *solver.Files) (*contextFS, error) {
	dir, err := os.Open(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the context: %w", err)
	}
	sums, err := w.Store.Sums(f.Dir)
	if err != nil {
		return nil, err
	}
	c := &contextFS{dir: snapshot.NewForeignDir(dir), sums: sums, matches: map[string]patternmatcher.MatchInfo{}}
	if f.Epoch != nil {
		at := time.Unix(*f.Epoch, 0)
		c.epoch = &at
	}
	if len(f.Exclude) > 0 {
		if c.matcher, err = patternmatcher.New(f.Exclude); err != nil {
			return nil, fmt.Errorf("reading the ignore patterns: %w", err)
		}
	}
	return c, nil
}

// Lstat returns the entry of a file that is not excluded.
func (c *contextFS) Lstat(name string) (*snapshot.Entry, error) {
	e, err := c.dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	there, err := c.includes(e)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return c.seen(e), nil
}

// ReadDir lists what of a directory is not excluded.
func (c *contextFS) ReadDir(name string) ([]*snapshot.Entry, error) {
	all, err := c.dir.ReadDir(name)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, e := range all {
		there, err := c.includes(e)
		if err != nil {
			return nil, err
		}
		if there {
			kept = append(kept, c.seen(e))
		}
	}
	return kept, nil
}

// seen returns e as it is in the context.
func (c *contextFS) seen(e *snapshot.Entry) *snapshot.Entry {
	ours := *e
	ours.UID, ours.GID = 0, 0
	c.sums.Know(&ours)
	if c.epoch != nil {
		ours.ModTime = *c.epoch
	}
	return &ours
}

// includes reports whether e is part of the context: not excluded itself, or a directory that holds
// something that is not.
func (c *contextFS) includes(e *snapshot.Entry) (bool, error) {
	if c.matcher == nil || e.Path == "" {
		return true, nil
	}
	excluded, err := c.excluded(e.Path)
	if err != nil || !excluded {
		return !excluded, err
	}
	if e.Kind != snapshot.Directory || !c.matcher.Exclusions() {
		return false, nil
	}
	return c.holdsIncluded(e.Path)
}

// holdsIncluded reports whether anything below an excluded directory is included again.
func (c *contextFS) holdsIncluded(name string) (bool, error) {
	if !c.mayInclude(name) {
		return false, nil
	}
	children, err := c.dir.ReadDir(name)
	if err != nil {
		return false, err
	}
	for _, e := range children {
		if there, err := c.includes(e); there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// mayInclude reports whether a pattern that includes again can reach below name.
func (c *contextFS) mayInclude(name string) bool {
	return slices.ContainsFunc(c.matcher.Patterns(), func(p *patternmatcher.Pattern) bool {
		return p.Exclusion() && reachesBelow(p.String(), name)
	})
}

func (c *contextFS) excluded(name string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	excluded, _, err := c.match(name)
	return excluded, err
}

// match matches name after its parents.
func (c *contextFS) match(name string) (bool, patternmatcher.MatchInfo, error) {
	above, err := c.matchAbove(path.Dir(name))
	if err != nil {
		return false, above, err
	}
	return c.matcher.MatchesUsingParentResults(name, above)
}

// matchAbove returns how the directory dir matched, which it remembers.
func (c *contextFS) matchAbove(dir string) (patternmatcher.MatchInfo, error) {
	if dir == "." {
		return patternmatcher.MatchInfo{}, nil
	}
	if known, ok := c.matches[dir]; ok {
		return known, nil
	}
	_, above, err := c.match(dir)
	if err != nil {
		return above, err
	}
	if len(c.matches) > 1000 {
		clear(c.matches)
	}
	c.matches[dir] = above
	return above, nil
}

// excludedBy returns the pattern because of which name is not in the context, "" if it is not there at all.
func (c *contextFS) excludedBy(name string) string {
	if c.matcher == nil {
		return ""
	}
	if _, err := c.dir.Lstat(name); err != nil {
		return ""
	}
	for _, p := range c.matcher.Patterns() {
		if m, err := patternmatcher.MatchesOrParentMatches(name, []string{p.String()}); err == nil && m && !p.Exclusion() {
			return p.String()
		}
	}
	return ""
}

// inlineFS returns the tree of files that stand in a Dockerfile.
func inlineFS(files []solver.InlineFile) (snapshot.FS, error) {
	return snapshot.NewIndex(func(yield func(*snapshot.Entry, error) bool) {
		for _, f := range files {
			e := &snapshot.Entry{
				Path: path.Clean("/" + f.Path)[1:], Mode: f.Mode, Size: int64(len(f.Data)), ModTime: time.Now(),
				Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.Data)), nil },
			}
			if !yield(e, nil) {
				return
			}
		}
	})
}

// notFound reports whether an error says that a path does not exist.
func notFound(err error) bool { return errors.Is(err, fs.ErrNotExist) }
