//go:build linux

package ops

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// match is one file or directory that a COPY argument names.
type match struct {
	// name is its path as it was named, at where it really is once links are followed.
	name, at string
	entry    *snapshot.Entry
}

// matches returns what a COPY argument names, in order. A path without wildcards that does not exist is
// fs.ErrNotExist; a pattern may fit nothing.
func matches(fsys snapshot.FS, s solver.CopySource) ([]match, error) {
	fixed, pattern := s.Path, ""
	if s.Wildcards {
		fixed, pattern = splitPattern(s.Path)
	}
	if pattern == "" {
		m, err := find(fsys, s.Path, s.Follow)
		if err != nil {
			return nil, err
		}
		return []match{m}, checkRequired(fsys, s, m)
	}
	top, err := find(fsys, fixed, s.Follow)
	if err != nil {
		return nil, err
	}
	return glob(fsys, top.at, pattern, s.Follow)
}

// checkRequired fails if what s requires is not copied: because it does not exist, lies behind a link, or
// is excluded.
func checkRequired(fsys snapshot.FS, s solver.CopySource, m match) error {
	for _, r := range s.Required {
		if copied, err := copies(fsys, s, m, r); err != nil {
			return err
		} else if !copied {
			return &fs.PathError{Op: "copy", Path: r, Err: fs.ErrNotExist}
		}
	}
	return nil
}

// copies reports whether s copies name, or anything below it, of the directory m.
func copies(fsys snapshot.FS, s solver.CopySource, m match, name string) (bool, error) {
	inside := strings.Trim(strings.TrimPrefix(name, s.Path), "/")
	for e, err := range walk(fsys, s, m) {
		if err != nil {
			return false, err
		}
		if e.Path != "" && strings.HasPrefix(e.Path+"/", inside+"/") {
			return true, nil
		}
	}
	return false, nil
}

// find returns the file at name.
func find(fsys snapshot.FS, name string, follow bool) (match, error) {
	at, err := snapshot.Resolve(fsys, name, follow)
	if err != nil {
		return match{}, err
	}
	e, err := fsys.Lstat(at)
	if notFound(err) {
		return match{}, &fs.PathError{Op: "copy", Path: path.Clean("/" + name), Err: fs.ErrNotExist}
	}
	return match{name, at, e}, err
}

// splitPattern cuts a path before its first part with a wildcard.
func splitPattern(name string) (fixed, pattern string) {
	parts := strings.Split(path.Clean("/" + name)[1:], "/")
	for i, p := range parts {
		if hasWildcard(p) {
			return strings.Join(parts[:i], "/"), strings.Join(parts[i:], "/")
		}
	}
	return name, ""
}

// hasWildcard reports whether part of a path is a pattern in the sense of path.Match.
func hasWildcard(part string) bool {
	for i := 0; i < len(part); i++ {
		switch part[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

// glob returns what below dir fits pattern, whose wildcards do not reach across slashes. What is in a
// directory that fits is not looked at.
func glob(fsys snapshot.FS, dir, pattern string, follow bool) ([]match, error) {
	first, rest, deeper := strings.Cut(pattern, "/")
	children, err := fsys.ReadDir(dir)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []match
	for _, e := range children {
		fits, err := path.Match(first, path.Base(e.Path))
		if err != nil {
			return nil, fmt.Errorf("%q is not a valid pattern: %w", pattern, err)
		}
		if !fits {
			continue
		}
		if deeper {
			if e.Kind == snapshot.Directory {
				below, err := glob(fsys, e.Path, rest, follow)
				if err != nil {
					return nil, err
				}
				found = append(found, below...)
			}
			continue
		}
		m, err := find(fsys, e.Path, follow)
		if err != nil {
			return nil, err
		}
		found = append(found, m)
	}
	return found, nil
}

// filter decides what below a directory is copied.
type filter struct {
	include, exclude *patternmatcher.PatternMatcher
}

func newFilter(s solver.CopySource) (f filter, err error) {
	if len(s.Include) > 0 {
		if f.include, err = patternmatcher.New(s.Include); err != nil {
			return f, fmt.Errorf("reading the patterns %q: %w", s.Include, err)
		}
	}
	if len(s.Exclude) > 0 {
		if f.exclude, err = patternmatcher.New(s.Exclude); err != nil {
			return f, fmt.Errorf("reading the exclude patterns %q: %w", s.Exclude, err)
		}
	}
	return f, nil
}

// verdict is what a filter says of one path.
type verdict struct {
	include, exclude patternmatcher.MatchInfo
	// copied: the path itself is copied. entered: something below it may be.
	copied, entered bool
}

// decide decides about name, relative to what is copied, given the verdict on its directory.
func (f filter) decide(name string, above verdict) (v verdict, err error) {
	v.copied, v.entered = true, true
	if name == "" {
		return v, nil
	}
	if f.include != nil {
		if v.copied, v.include, err = f.include.MatchesUsingParentResults(name, above.include); err != nil {
			return v, err
		}
		v.entered = v.copied || f.reaches(name)
	}
	if f.exclude != nil {
		excluded := false
		if excluded, v.exclude, err = f.exclude.MatchesUsingParentResults(name, above.exclude); err != nil {
			return v, err
		}
		if excluded {
			v.copied = false
			v.entered = f.exclude.Exclusions()
		}
	}
	return v, nil
}

// reaches reports whether something below the directory name can be included.
func (f filter) reaches(name string) bool {
	return slices.ContainsFunc(f.include.Patterns(), func(p *patternmatcher.Pattern) bool {
		return p.Exclusion() || reachesBelow(p.String(), name)
	})
}

// reachesBelow reports whether a pattern can fit something below the directory name, or fits one above it.
func reachesBelow(pattern, name string) bool {
	parts := strings.Split(pattern, "/")
	for i, dir := range strings.Split(name, "/") {
		if i == len(parts) || strings.Contains(parts[i], "**") {
			return true
		}
		if parts[i] != dir && !strings.ContainsAny(parts[i], `*?[\`) {
			return false
		}
	}
	return true
}

// walk streams what s copies of m, with paths relative to it. A directory that is not copied itself
// comes only if something below it does, and before that. The stream may be read several times, also at once.
func walk(fsys snapshot.FS, s solver.CopySource, m match) snapshot.Entries {
	return walkTelling(fsys, s, m, func(string) {})
}

// walkTelling is walk, and tells implied of each directory that is not copied itself just before it comes.
func walkTelling(fsys snapshot.FS, s solver.CopySource, m match, implied func(name string)) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		f, err := newFilter(s) // not shared: matching changes it
		if err != nil {
			yield(nil, err)
			return
		}
		w := &filterWalk{filter: f, fsys: fsys, top: m.at, implied: implied, yield: yield}
		if err := w.visit(m.entry, verdict{}); err != nil {
			yield(nil, err)
		}
	}
}

type filterWalk struct {
	filter
	fsys snapshot.FS
	top  string
	// pending are directories that are not copied unless something below them is, and last what is copied.
	pending []*snapshot.Entry
	implied func(name string)
	yield   func(*snapshot.Entry, error) bool
	stopped bool
}

func (w *filterWalk) visit(e *snapshot.Entry, above verdict) error {
	relative := *e
	relative.Path = strings.TrimPrefix(strings.TrimPrefix(e.Path, w.top), "/")
	v, err := w.decide(relative.Path, above)
	if err != nil || w.stopped || !v.copied && (e.Kind != snapshot.Directory || !v.entered) {
		return err
	}
	depth := len(w.pending)
	w.pending = append(w.pending, &relative)
	if v.copied {
		w.flush()
	}
	if e.Kind == snapshot.Directory && v.entered {
		children, err := w.fsys.ReadDir(e.Path)
		if err != nil {
			return err
		}
		for _, c := range children {
			if err := w.visit(c, v); err != nil {
				return err
			}
		}
	}
	w.pending = w.pending[:min(depth, len(w.pending))]
	return nil
}

// flush passes on the directories that were waiting.
func (w *filterWalk) flush() {
	for i, e := range w.pending {
		if e != nil && !w.stopped {
			if i < len(w.pending)-1 {
				w.implied(e.Path)
			}
			w.stopped = !w.yield(e, nil)
		}
		w.pending[i] = nil
	}
}

// selected streams what a COPY argument reads of a tree, for its digest. Names of one file are links, as they will be.
func selected(fsys snapshot.FS, s solver.CopySource) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		found, err := matches(fsys, s)
		if err != nil {
			yield(nil, explainMissing(fsys, err))
			return
		}
		for _, m := range found {
			for e, err := range snapshot.WithLinks(walk(fsys, s, m)) {
				if err == nil {
					named := *e
					named.Path = path.Join(path.Base("/"+m.name), e.Path)
					e = &named
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// mounted streams what a command sees of a tree through a mount, for its digest and for where it cannot be mounted itself.
func mounted(fsys snapshot.FS, m solver.Mount) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		top, err := find(fsys, m.Source, true)
		if err != nil {
			yield(nil, explainMissing(fsys, err))
			return
		}
		snapshot.WithLinks(walk(fsys, solver.CopySource{}, top))(yield)
	}
}
