package sbom

import (
	"encoding/json"
	"path"
	"strings"
)

// isNPM: an installed package of npm is a directory in node_modules, or in a directory @SCOPE there.
func isNPM(f File) bool {
	if path.Base(f.Path) != "package.json" {
		return false
	}
	parent := path.Dir(path.Dir(f.Path))
	if strings.HasPrefix(path.Base(parent), "@") {
		parent = path.Dir(parent)
	}
	return path.Base(parent) == "node_modules"
}

// readNPM reads a package.json. What is none is not a package.
func readNPM(f File, i *Inventory) error {
	b, err := f.content()
	if err != nil {
		return err
	}
	var p struct {
		Name     string          `json:"name"`
		Version  string          `json:"version"`
		License  json.RawMessage `json:"license"`
		Homepage json.RawMessage `json:"homepage"`
	}
	if err := json.Unmarshal(b, &p); err != nil || p.Name == "" || p.Version == "" {
		return nil //nolint:nilerr // it belongs to no package
	}
	i.Packages = append(i.Packages, Package{
		Kind: NPM, Name: p.Name, Version: p.Version, License: text(p.License), Homepage: text(p.Homepage), Found: f.Path,
	})
	return nil
}

// text returns a JSON string, or nothing of anything else.
func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // what is no string stays empty
	return s
}

// isPython: a distribution leaves a directory NAME.dist-info or NAME.egg-info, or a file of that name.
func isPython(f File) bool {
	dir, base := path.Base(path.Dir(f.Path)), path.Base(f.Path)
	return strings.HasSuffix(dir, ".dist-info") && base == "METADATA" ||
		strings.HasSuffix(dir, ".egg-info") && base == "PKG-INFO" || strings.HasSuffix(base, ".egg-info")
}

// readPython reads core metadata (https://packaging.python.org/en/latest/specifications/core-metadata/).
func readPython(f File, i *Inventory) error {
	b, err := f.content()
	if err != nil {
		return err
	}
	p := paragraphs(string(b))[0] // after it comes the description
	if p["Name"] == "" || p["Version"] == "" {
		return nil
	}
	license := p["License-Expression"]
	if license == "" {
		license = p["License"]
	}
	i.Packages = append(i.Packages, Package{
		Kind: PyPI, Name: p["Name"], Version: p["Version"], License: license, Homepage: p["Home-page"],
		Supplier: p["Author"], Found: f.Path,
	})
	return nil
}
