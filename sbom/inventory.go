package sbom

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"
)

// File is a regular file of a tree.
type File struct {
	// Path is relative to the root, with slashes.
	Path string
	// Size is in bytes.
	Size       int64
	Executable bool
	// Open gives the content. It is not called for most files.
	Open func() (io.ReadCloser, error)
}

// Kind is a packaging system, by its name in package URLs.
type Kind string

// The packaging systems whose traces are known.
const (
	Deb    Kind = "deb"
	APK    Kind = "apk"
	RPM    Kind = "rpm"
	Golang Kind = "golang"
	NPM    Kind = "npm"
	PyPI   Kind = "pypi"
)

// Package is a package that a tree holds.
type Package struct {
	Kind          Kind
	Name, Version string
	// Architecture and License are as the package manager writes them; empty if it does not.
	Architecture, License string
	// Supplier is who maintains the package, such as "Jane Doe <jane@example.org>"; empty if nobody is named.
	Supplier string
	// Homepage is a URL; empty if none is named.
	Homepage string
	// Source names the package that this one was built from, if that is another.
	Source string
	// Found is the file that says so.
	Found string
}

// Inventory is what a tree holds.
type Inventory struct {
	// Distribution is the ID of /etc/os-release, such as "debian", Release its VERSION_ID, Title its PRETTY_NAME.
	Distribution, Release, Title string
	// Packages are in order, each once.
	Packages []Package
}

// maxFile bounds what is read of a database or metadata file, in bytes.
const maxFile = 256 << 20

// reader reads one kind of file.
type reader struct {
	matches func(f File) bool
	read    func(f File, i *Inventory) error
}

func readers() []reader {
	return []reader{
		{isRelease, readRelease},
		{isDpkg, readDpkg},
		{isAPK, readAPK},
		{isRPM, readRPM},
		{isNPM, readNPM},
		{isPython, readPython},
		{isProgram, readProgram},
	}
}

// Scan reads what says which packages are in a tree.
func Scan(files iter.Seq2[File, error]) (*Inventory, error) {
	i := &Inventory{}
	all := readers()
	for f, err := range files {
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if !r.matches(f) {
				continue
			}
			if err := r.read(f, i); err != nil {
				return nil, fmt.Errorf("reading /%s: %w", f.Path, err)
			}
		}
	}
	slices.SortFunc(i.Packages, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Architecture, b.Architecture), cmp.Compare(a.Found, b.Found))
	})
	i.Packages = slices.CompactFunc(i.Packages, func(a, b Package) bool {
		return a.Kind == b.Kind && a.Name == b.Name && a.Version == b.Version && a.Architecture == b.Architecture
	})
	return i, nil
}

// content returns all of a file.
func (f File) content() ([]byte, error) {
	if f.Size > maxFile {
		return nil, fmt.Errorf("it has %d bytes, more than the %d that are read", f.Size, maxFile)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxFile))
}

func isRelease(f File) bool { return f.Path == "etc/os-release" || f.Path == "usr/lib/os-release" }

// readRelease reads what os-release(5) says of the distribution.
func readRelease(f File, i *Inventory) error {
	b, err := f.content()
	if err != nil || i.Distribution != "" {
		return err
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			i.Distribution = value
		case "VERSION_ID":
			i.Release = value
		case "PRETTY_NAME":
			i.Title = value
		}
	}
	return nil
}

// below reports whether a path is that of a file directly in a directory.
func below(name, dir string) bool { return path.Dir(name) == dir }
