package registry

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-298d225e/builder/httpclient"
)

// challenge is what a registry wants to see before it answers: one challenge of a WWW-Authenticate header.
type challenge struct {
	// scheme is in lower case: "bearer" or "basic".
	scheme string
	// params have names in lower case.
	params map[string]string
}

// parseChallenges reads WWW-Authenticate headers as RFC 9110, section 11.6.1 has them, and skips what it
// does not understand.
func parseChallenges(values []string) []challenge {
	var all []challenge
	for _, v := range values {
		p := &headerParser{rest: v}
		for p.skip(" \t,"); p.rest != ""; p.skip(" \t,") {
			scheme := p.token()
			if scheme == "" {
				break
			}
			all = append(all, challenge{scheme: strings.ToLower(scheme), params: p.params()})
		}
	}
	return all
}

// headerParser consumes a header value from its front.
type headerParser struct{ rest string }

func (p *headerParser) skip(cutset string) { p.rest = strings.TrimLeft(p.rest, cutset) }

// token takes the characters of a token, which may be none.
func (p *headerParser) token() string {
	end := strings.IndexFunc(p.rest, func(r rune) bool { return r > '~' || r <= ' ' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) })
	if end < 0 {
		end = len(p.rest)
	}
	t := p.rest[:end]
	p.rest = p.rest[end:]
	return t
}

// params takes NAME=VALUE pairs up to the next scheme or the end.
func (p *headerParser) params() map[string]string {
	params := map[string]string{}
	for {
		p.skip(" \t,")
		before := p.rest
		name := p.token()
		p.skip(" \t")
		if name == "" || !strings.HasPrefix(p.rest, "=") {
			p.rest = before // a scheme, or nothing that can be read
			if name == "" {
				p.rest = ""
			}
			return params
		}
		p.rest = p.rest[1:]
		p.skip(" \t")
		params[strings.ToLower(name)] = p.value()
	}
}

// value takes a token or a quoted string.
func (p *headerParser) value() string {
	if !strings.HasPrefix(p.rest, `"`) {
		return p.token()
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '"':
			p.rest = p.rest[i+1:]
			return b.String()
		case '\\':
			if i++; i < len(p.rest) {
				b.WriteByte(p.rest[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	p.rest = ""
	return b.String()
}

// choose picks the challenge that can be answered, a token before a password. It is nil if there is none.
func choose(header http.Header) *challenge {
	all := parseChallenges(header.Values("WWW-Authenticate"))
	for _, scheme := range []string{"bearer", "basic"} {
		for _, c := range all {
			if c.scheme == scheme && (scheme == "basic" || c.params["realm"] != "") {
				return &c
			}
		}
	}
	return nil
}

// realm returns the URL of the token server, if it is one that credentials may be sent to: https, or http
// if the registry is spoken to in http too.
func (c *challenge) realm(registry *url.URL) (*url.URL, error) {
	u, err := url.Parse(c.params["realm"])
	if err != nil || u.Host == "" {
		return nil, httpclient.Refusef("the token server of %s is no URL", registry.Host)
	}
	if err := httpclient.CheckStep(registry, u); err != nil {
		return nil, err
	}
	u.User, u.Fragment = nil, ""
	return u, nil
}
