// Package lockfile keeps what names of sources stood for: the file Dockerfile.lock.
//
// It is made for people to read and for reviews to compare: a line for each source, in order.
//
//	version 1
//	image docker.io/library/alpine:3.20 sha256:…
//	url https://example.com/tool.tar.gz sha256:…
//	git https://github.com/owner/repository.git#v1.2 0123456789abcdef0123456789abcdef01234567
//
// An image is locked to the manifest or index that its name stood for, a URL to the content, a ref of a git
// repository to the commit. Lines that are empty or begin with # mean nothing.
package lockfile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Kind is a kind of source.
type Kind string

// The kinds of sources.
const (
	Image Kind = "image"
	URL   Kind = "url"
	Git   Kind = "git"
)

// Entry is what a name stands for.
type Entry struct {
	Kind Kind
	// Name is the full name of an image, a URL, or REMOTE#REF.
	Name string
	// Digest is "sha256:…", or the full name of a commit.
	Digest string
	// Line is where it stands, counted from 1; 0 if it was not read.
	Line int
}

// File is a lock file that was read.
type File struct {
	// Path is what messages call it.
	Path    string
	entries map[key]Entry
}

type key struct {
	kind Kind
	name string
}

const header = "version 1"

// Format returns the text of a lock file.
func Format(entries []Entry) []byte {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	var b strings.Builder
	b.WriteString("# What the names in the Dockerfile stood for, written by \"builder lock\".\n" + header + "\n")
	for _, e := range slices.Compact(entries) {
		fmt.Fprintf(&b, "%s %s %s\n", e.Kind, e.Name, e.Digest)
	}
	return []byte(b.String())
}

// Parse reads a lock file. Path is what messages call it.
func Parse(path string, text []byte) (*File, error) {
	f := &File{Path: path, entries: map[key]Entry{}}
	begun := false
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case !begun && line != header:
			return nil, fmt.Errorf("%s:%d: it must begin with %q", path, i+1, header)
		case !begun:
			begun = true
		default:
			e, err := parseEntry(line)
			if err == nil {
				e.Line = i + 1
				err = f.add(e)
			}
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
			}
		}
	}
	return f, nil
}

func (f *File) add(e Entry) error {
	k := key{e.Kind, e.Name}
	if before, twice := f.entries[k]; twice {
		return fmt.Errorf("%s %s stands on line %d already", e.Kind, e.Name, before.Line)
	}
	f.entries[k] = e
	return nil
}

var (
	sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	commitName   = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

func parseEntry(line string) (Entry, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return Entry{}, fmt.Errorf("a line is KIND NAME DIGEST, and this one has %d words", len(fields))
	}
	e := Entry{Kind: Kind(fields[0]), Name: fields[1], Digest: fields[2]}
	form := sha256Digest
	switch e.Kind {
	case Image, URL:
	case Git:
		form = commitName
	default:
		return e, fmt.Errorf("%q is not one of %s, %s and %s", e.Kind, Image, URL, Git)
	}
	if !form.MatchString(e.Digest) {
		return e, fmt.Errorf("%q does not identify any %s", e.Digest, e.Kind)
	}
	return e, nil
}

// Find returns what a name stands for. A nil file knows nothing.
func (f *File) Find(kind Kind, name string) (Entry, bool) {
	if f == nil {
		return Entry{}, false
	}
	e, ok := f.entries[key{kind, name}]
	return e, ok
}

// Place is where an entry stands, such as Dockerfile.lock:3.
func (f *File) Place(e Entry) string { return fmt.Sprintf("%s:%d", f.Path, e.Line) }
