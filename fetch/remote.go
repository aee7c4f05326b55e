//go:build linux

package fetch

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-298d225e/builder/httpclient"
)

// remote is the address of a repository, without credentials.
type remote struct {
	// scheme is https, http, ssh, git or file.
	scheme string
	// url is what git is given, and what can be shown.
	url string
	// origin is all that credentials belong to; empty unless they are sent over http.
	origin string
	// host is as it stands in the address, with the port.
	host string
	// basic is what an Authorization header has if there were credentials in the address.
	basic string
}

// scpRemote is what git takes for host:path over ssh, with or without a user.
var scpRemote = regexp.MustCompile(`^(?:[a-zA-Z0-9_][\w.-]*@)?([a-zA-Z0-9.][a-zA-Z0-9.-]*):([^:].*)$`)

var schemePattern = regexp.MustCompile(`^[a-zA-Z0-9]+://`)

// parseRemote reads the address of a repository. What git would hand to a helper program (ext::…), take for
// an option, or read from this machine is refused.
func parseRemote(s string, protocols []string) (remote, error) {
	r, err := splitRemote(s)
	if err == nil && !slices.Contains(protocols, r.scheme) {
		err = fmt.Errorf("%s is not allowed", r.scheme)
	}
	if err != nil {
		return remote{}, fmt.Errorf("refusing the git repository %q: %w", shown(s), err)
	}
	return r, nil
}

func splitRemote(s string) (remote, error) {
	if strings.HasPrefix(s, "-") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return remote{}, errors.New("not an address")
	}
	if schemePattern.MatchString(s) {
		return splitRemoteURL(s)
	}
	m := scpRemote.FindStringSubmatch(s)
	if m == nil || strings.HasPrefix(m[2], "-") {
		return remote{}, errors.New("neither a URL nor user@host:path")
	}
	return remote{scheme: "ssh", url: s, host: m[1]}, nil
}

func splitRemoteURL(s string) (remote, error) {
	u, err := url.Parse(s)
	if err != nil {
		return remote{}, badURL(s, err)
	}
	r := remote{scheme: u.Scheme, url: s, host: u.Host}
	if strings.HasPrefix(u.Host, "-") || strings.HasPrefix(u.User.Username(), "-") || strings.HasPrefix(u.Path, "/-") {
		return remote{}, errors.New("a part of it begins with -")
	}
	if u.Hostname() == "" && u.Scheme != "file" {
		return remote{}, errors.New("no host")
	}
	password, hasPassword := u.User.Password()
	switch u.Scheme {
	case "http", "https":
		r.origin = httpclient.Origin(u)
		if u.User != nil {
			r.basic = basic(u.User.Username(), password)
			u.User = nil
			r.url = u.String()
		}
	case "ssh":
		if hasPassword {
			u.User = url.User(u.User.Username())
			r.url = u.String()
		}
	}
	return r, nil
}

// basic returns the value of an Authorization header.
func basic(user, password string) string {
	return "basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// relativeTo resolves the address of a submodule that begins with ./ or ../, which git means relative to that
// of the repository it is part of, as if that were a directory.
func relativeTo(parent, address string) (string, error) {
	host, dir := splitHost(strings.TrimRight(parent, "/"))
	for rest := address; ; {
		if after, ok := strings.CutPrefix(rest, "./"); ok {
			rest = after
			continue
		}
		after, ok := strings.CutPrefix(rest, "../")
		if !ok {
			return host + strings.TrimPrefix(dir+"/"+rest, "/"), nil
		}
		if dir == "" {
			return "", fmt.Errorf("the address %q leads out of %s", address, host)
		}
		rest, dir = after, dir[:max(strings.LastIndexByte(dir, '/'), 0)]
	}
}

// splitHost takes the path off an address. The host keeps what separates the two.
func splitHost(address string) (host, dir string) {
	start := len(schemePattern.FindString(address))
	separator := byte('/')
	if start == 0 {
		separator = ':'
	}
	end := strings.IndexByte(address[start:], separator)
	if end < 0 {
		return address + string(separator), ""
	}
	host, dir = address[:start+end+1], address[start+end+1:]
	if strings.HasPrefix(dir, "/") {
		return host + "/", dir[1:]
	}
	return host, dir
}
