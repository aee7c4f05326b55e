package sbom

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"io"
	"os"
	"strings"
)

// isProgram: what could be an executable of Go.
func isProgram(f File) bool { return f.Executable && f.Size > 1<<10 }

// readProgram reads which modules a program was made of, if it was made by Go.
func readProgram(f File, i *Inventory) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != "\x7fELF" {
		return nil // not a program
	}
	at, ok := r.(io.ReaderAt)
	if !ok {
		rest, err := aside(io.MultiReader(bytes.NewReader(magic), r))
		if err != nil {
			return err
		}
		defer rest.Close()
		at = rest
	}
	info, err := buildinfo.Read(at)
	if err != nil {
		return nil // not made by Go
	}
	add := func(name, version string) {
		version = strings.TrimPrefix(version, "(devel)")
		i.Packages = append(i.Packages, Package{Kind: Golang, Name: name, Version: version, Found: f.Path})
	}
	add("stdlib", info.GoVersion)
	if info.Main.Path != "" {
		add(info.Main.Path, info.Main.Version)
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		add(m.Path, m.Version)
	}
	return nil
}

// aside returns the content of a stream as a file without a name.
func aside(r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "builder-sbom-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.Copy(f, r)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
