//go:build linux

package fetch

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// target is a request that makes sense.
type target struct {
	// url has neither credentials nor a fragment.
	url *url.URL
	// user are the credentials that stood in the address; nil if there were none.
	user *url.Userinfo
	// name is the address as it can be shown.
	name     string
	filename string
	checksum checksum
}

func newTarget(r Request) (target, error) {
	u, err := parseURL(r.URL)
	if err != nil {
		return target{}, err
	}
	t := target{url: u, user: u.User, filename: r.Filename}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	t.name = u.String()
	if t.filename == "" {
		t.filename = filenameOf(u)
	}
	if err := checkFilename(t.filename); err != nil {
		return target{}, fmt.Errorf("downloading %s: %w", t.name, err)
	}
	if r.Checksum != "" {
		if t.checksum, err = parseChecksum(r.Checksum); err != nil {
			return target{}, fmt.Errorf("downloading %s: %w", t.name, err)
		}
	}
	return t, nil
}

// parseURL reads an address to download from.
func parseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", shown(address), badURL(address, err))
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("downloading %s: not an http or https URL", u.Redacted())
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("downloading %s: no host in the URL", u.Redacted())
	}
	return u, nil
}

// filenameOf returns what a file is called that has no other name. What the server calls it is not asked
// for: it would be known too late, and could be anything.
func filenameOf(u *url.URL) string {
	name := path.Base(u.Path)
	if checkFilename(name) != nil {
		return "download"
	}
	return name
}

func checkFilename(name string) error {
	const longest = 255
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%q cannot be the name of a file", name)
	case len(name) > longest:
		return errors.New("the name of the file is too long")
	}
	return nil
}

// key names the target in the index: by the checksum, wherever it comes from, else by the address.
func (t target) key() string {
	if t.checksum != "" {
		return sumKey(t.checksum, t.filename)
	}
	return keyOf("address", t.url.String(), t.filename)
}

func sumKey(c checksum, filename string) string { return keyOf("checksum", string(c), filename) }
