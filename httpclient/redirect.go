package httpclient

import (
	"net"
	"net/http"
	"net/url"
)

// Redirect is the policy for redirects of a [http.Client]: at most ten, to where [CheckStep] lets one go, and
// credentials go only to the origin they were given for.
func Redirect(req *http.Request, via []*http.Request) error {
	const most = 10
	if len(via) > most {
		return Refusef("gave up after %d redirects", most)
	}
	if err := CheckStep(via[len(via)-1].URL, req.URL); err != nil {
		return err
	}
	if Origin(via[0].URL) != Origin(req.URL) {
		req.Header.Del("Authorization")
	}
	req.Header.Del("Referer") // a signature may be part of an address
	return nil
}

// CheckStep refuses to go from a secure URL to one that is not, or to one that is not http at all.
func CheckStep(from, to *url.URL) error {
	switch {
	case to.Scheme == "https", to.Scheme == "http" && from.Scheme == "http":
		return nil
	case to.Scheme == "http":
		return Refusef("refusing to go from https to http://%s", to.Host)
	}
	return Refusef("refusing to follow a URL with scheme %q", to.Scheme)
}

// Origin returns the scheme, host and port of u, which is all that credentials belong to (RFC 6454, section 4).
func Origin(u *url.URL) string {
	port := u.Port()
	if port == "" && u.Scheme == "https" {
		port = "443"
	}
	if port == "" && u.Scheme == "http" {
		port = "80"
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
}
