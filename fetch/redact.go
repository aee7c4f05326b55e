//go:build linux

package fetch

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// userinfo is what stands before the host of a URL.
var userinfo = regexp.MustCompile(`([a-zA-Z0-9+.-]+://)[^/@\s]*@`)

// redact returns a text without what may be credentials in the URLs that it holds.
func redact(text string) string { return userinfo.ReplaceAllString(text, "${1}xxxxx@") }

// shown returns an address as it can be shown, even if it is none that makes sense: a password with a slash in
// it does not look like one.
func shown(address string) string {
	if _, err := url.Parse(address); err == nil || !strings.Contains(address, "@") {
		return redact(address)
	}
	before, _, _ := strings.Cut(address, "://")
	_, after, _ := strings.Cut(address, "@")
	return before + "://xxxxx@" + after
}

// badURL returns what is wrong with a URL. What may be a part of a password is not in it.
func badURL(address string, err error) error {
	if strings.Contains(address, "@") {
		return errors.New("not a valid URL")
	}
	return bare(err)
}
