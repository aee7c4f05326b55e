package sbom

import (
	"strings"
)

// isDpkg: dpkg keeps one file of all packages; images without dpkg itself have a file for each.
func isDpkg(f File) bool {
	return f.Path == "var/lib/dpkg/status" ||
		below(f.Path, "var/lib/dpkg/status.d") && !strings.HasSuffix(f.Path, ".md5sums")
}

// readDpkg reads paragraphs of fields (deb-control(5)).
func readDpkg(f File, i *Inventory) error {
	b, err := f.content()
	if err != nil {
		return err
	}
	for _, p := range paragraphs(string(b)) {
		if status, ok := p["Status"]; ok && !strings.HasSuffix(status, " installed") || p["Package"] == "" {
			continue
		}
		source, _, _ := strings.Cut(p["Source"], " ")
		i.Packages = append(i.Packages, Package{
			Kind: Deb, Name: p["Package"], Version: p["Version"], Architecture: p["Architecture"], Supplier: p["Maintainer"],
			Homepage: p["Homepage"], Source: source, Found: f.Path,
		})
	}
	return nil
}

// paragraphs reads fields NAME: VALUE that empty lines separate. Of values of several lines the first counts.
func paragraphs(text string) []map[string]string {
	var all []map[string]string
	current := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch name, value, ok := strings.Cut(line, ":"); {
		case line == "":
			all = append(all, current)
			current = map[string]string{}
		case ok && line[0] != ' ' && line[0] != '\t':
			if _, again := current[name]; !again {
				current[name] = strings.TrimSpace(value)
			}
		}
	}
	return append(all, current)
}

func isAPK(f File) bool {
	return f.Path == "lib/apk/db/installed" || f.Path == "usr/lib/apk/db/installed"
}

// readAPK reads the database of apk, whose fields have one letter
// (https://wiki.alpinelinux.org/wiki/Apk_spec#Installed_Database_V2).
func readAPK(f File, i *Inventory) error {
	b, err := f.content()
	if err != nil {
		return err
	}
	for _, p := range paragraphs(string(b)) {
		if p["P"] == "" {
			continue
		}
		i.Packages = append(i.Packages, Package{
			Kind: APK, Name: p["P"], Version: p["V"], Architecture: p["A"], License: p["L"], Supplier: p["m"],
			Homepage: p["U"], Source: p["o"], Found: f.Path,
		})
	}
	return nil
}
