package registry

import (
	"cmp"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/httpclient"
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
	Proxy httpclient.Proxy
	// UserAgent is sent with every request.
	UserAgent string
	// Connections is how many blobs move at once from one registry, and how many to it; 0 means 4.
	Connections int
	// Blobs keeps manifests and configs; nil keeps them as long as the client lives.
	Blobs Blobs
	// Pushed remembers where blobs were pushed to; nil remembers it as long as the client lives.
	Pushed Pushed
	// Resolved are tags that are not asked for because it is known what they stand for; see [Client.Resolved].
	Resolved map[string]v1.Hash
	// Tags remembers what tags stood for; nil remembers nothing.
	Tags Tags
	// Assume takes tags to stand for what they stood for the last time, and asks for them meanwhile. Nothing may be done
	// with images found so of which others learn, until [Client.Confirm] says that it is so.
	Assume bool
	// Progress, if not nil, is told how many bytes of a transfer have moved. A transfer that succeeds
	// ends with current equal to total. It is called from many goroutines.
	Progress func(what string, current, total int64)
	// ForeignURLs lets layers that the registry does not have be fetched from the URLs in their descriptor.
	ForeignURLs bool

	Timeouts httpclient.Timeouts
	// Retry starts anew when a transfer has moved on.
	Retry httpclient.Retry
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

func (c Config) withDefaults() Config {
	if c.Keychain == nil {
		c.Keychain = authn.NewMultiKeychain()
	}
	if c.Blobs == nil {
		c.Blobs = &memory{}
	}
	if c.Pushed == nil {
		c.Pushed = forgetful{}
	}
	if c.Tags == nil {
		c.Tags = oblivious{}
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
	c.Connections = cmp.Or(c.Connections, 4)
	c.Timeouts, c.Retry = c.Timeouts.WithDefaults(), c.Retry.WithDefaults()
	return c
}
