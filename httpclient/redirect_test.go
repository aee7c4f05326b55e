package httpclient

import (
	"net/http"
	"net/url"
	"testing"
)

func at(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCheckStep(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"https://a/", "https://b/", ""},
		{"http://a/", "http://b/", ""},
		{"http://a/", "https://b/", ""},
		{"https://a/", "http://user:secret@b:80/x?y", "refusing to go from https to http://b:80"},
		{"http://a/", "file:///etc/passwd", `refusing to follow a URL with scheme "file"`},
	} {
		got := ""
		if err := CheckStep(at(t, c.from), at(t, c.to)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s to %s: got %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

// Credentials are for a scheme, a host and a port, whether the port is written or not.
func TestRedirectKeepsCredentialsAtTheirOrigin(t *testing.T) {
	for to, want := range map[string]string{
		"https://a/x": "secret", "https://a:443/x": "secret", "https://a:444/x": "", "https://b/": "", "https://sub.a/": "",
	} {
		req := &http.Request{URL: at(t, to), Header: http.Header{"Authorization": {"secret"}, "Referer": {"https://a/?signature"}}}
		if err := Redirect(req, []*http.Request{{URL: at(t, "https://a/")}}); err != nil {
			t.Fatal(err)
		}
		if got := req.Header.Get("Authorization"); got != want {
			t.Errorf("%s: got %q, want %q", to, got, want)
		}
		if req.Header.Get("Referer") != "" {
			t.Errorf("%s: it is told where it was linked from", to)
		}
	}
}
