package registry

import (
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Config says how a [Client] behaves. The zero value reaches every registry anonymously.
type Config struct {
	// Keychain finds credentials; nil means there are none.
	Keychain authn.Keychain
	// Tokens finds credentials that the environment of this process gives it, where Keychain has none. They are
	// never sent over http. It may be nil.
	Tokens authn.Keychain
	// Hosts are the registries that need something special, by the name references use: "docker.io",
	// "registry.example.com:5000". A mirror or a storage host may have an entry of its own.
	Hosts map[string]Host
	// CA are PEM files with certificates trusted for every host, beside those of the system.
	CA []string
	// CertificateDirs are directories with one called after a host for each that has certificates of its own,
	// such as /etc/docker/certs.d.
	CertificateDirs []string
	// Proxy returns the proxy for a request, nil for none. It may be nil itself.
	Proxy func(*http.Request) (*url.URL, error)
	// UserAgent is sent with every request.
	UserAgent string
	// Connections is how many blobs move at once from one registry, and how many to it; 0 means 4.
	Connections int
	// Blobs keeps manifests and configs; nil keeps them as long as the client lives.
	Blobs Blobs
	// Progress, if not nil, is told how many bytes of a transfer have moved. A transfer that succeeds
	// ends with current equal to total. It is called from many goroutines.
	Progress func(what string, current, total int64)
	// ForeignURLs lets layers that the registry does not have be fetched from the URLs in their descriptor.
	ForeignURLs bool

	Timeouts Timeouts
	Retry    Retry
}

// Host is what is special about one registry.
type Host struct {
	// Scheme is "http" or "https". Empty means http for a loopback name or address, https for any other.
	Scheme string
	// SkipVerify accepts any certificate.
	SkipVerify bool
	// CA are PEM files with certificates trusted for this host.
	CA []string
	// ClientCert and ClientKey are PEM files shown to this host only.
	ClientCert, ClientKey string
	// Mirrors are asked first, in order: "HOST[:PORT][/PREFIX]", with "http://" or "https://" before it
	// if the scheme of the host would be another.
	Mirrors []string
	// Replaced: the last mirror stands for the registry, which is never pulled from itself.
	Replaced bool
	// Blocked: nothing may be pulled from it or pushed to it.
	Blocked bool
}

// Blobs keeps manifests and configs by digest, so that they are fetched once. What it returns is
// checked; it may forget, and its errors only cost a request.
type Blobs interface {
	Get(digest v1.Hash) ([]byte, error)
	Put(digest v1.Hash, content []byte) error
}

// Timeouts bound every phase of a request except its whole: a transfer that moves is never cut off.
// A zero field means its default.
type Timeouts struct {
	// Connect includes the look-up of the name; 10 s.
	Connect time.Duration
	// TLS is the handshake; 10 s.
	TLS time.Duration
	// Header is the wait for an answer after the request is sent; 60 s.
	Header time.Duration
	// Idle is how long a body may stand still in either direction; 60 s.
	Idle time.Duration
}

// Retry says when to try again. A zero field means its default.
type Retry struct {
	// Tries is how often at all; 5. It starts anew when a transfer has moved on.
	Tries int
	// Min and Max bound the longest wait before the second and any later try; 0.5 s and 16 s. The wait is
	// random between nothing and that.
	Min, Max time.Duration
	// Longest is what a registry may at most ask for with Retry-After; 120 s.
	Longest time.Duration
}

func (c Config) withDefaults() Config {
	if c.Keychain == nil {
		c.Keychain = authn.NewMultiKeychain()
	}
	if c.Blobs == nil {
		c.Blobs = &memory{}
	}
	if c.UserAgent == "" {
		c.UserAgent = "builder"
	}
	if c.Progress == nil {
		c.Progress = func(string, int64, int64) {}
	}
	hosts := map[string]Host{}
	for name, h := range c.Hosts {
		hosts[hostName(name)] = h
	}
	c.Hosts = hosts
	orElse(&c.Connections, 4)
	orElse(&c.Timeouts.Connect, 10*time.Second)
	orElse(&c.Timeouts.TLS, 10*time.Second)
	orElse(&c.Timeouts.Header, time.Minute)
	orElse(&c.Timeouts.Idle, time.Minute)
	orElse(&c.Retry.Tries, 5)
	orElse(&c.Retry.Min, 500*time.Millisecond)
	orElse(&c.Retry.Max, 16*time.Second)
	orElse(&c.Retry.Longest, 2*time.Minute)
	return c
}

// orElse sets what is zero.
func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
