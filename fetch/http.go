//go:build linux

package fetch

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/seed-298d225e/builder/httpclient"
)

// HTTP downloads URLs. Its fields are set before it is used and not changed then; it may be used by several
// goroutines, and several processes may share a directory.
type HTTP struct {
	// Dir is the absolute path of a directory that is kept between builds.
	Dir string
	// UserAgent is sent with every request; "builder" if it is empty.
	UserAgent string
	// Proxy returns the proxy for a request; nil means none.
	Proxy httpclient.Proxy
	// TLS holds the certificates to trust; nil means those of the system.
	TLS      *tls.Config
	Timeouts httpclient.Timeouts
	Retry    httpclient.Retry
	// MaxSize is the size of the largest download in bytes; 0 means 16 GiB.
	MaxSize int64
	// Secret returns the value of a secret; one that was not given is fs.ErrNotExist. Asked for are
	// HTTP_AUTH_TOKEN_host and HTTP_AUTH_HEADER_host. A nil Secret gives none.
	Secret func(id string) ([]byte, error)
	// Progress, if not nil, is told how many bytes of a download have come. The total is 0 as long as it is
	// unknown; a download ends when both are equal.
	Progress func(what string, current, total int64)

	shelf shelf
	once  sync.Once
	doer  *http.Client

	mu sync.Mutex
	// seen are the downloads of this process: within a build an address has one content.
	seen map[string]File
}

// Request names what to download.
type Request struct {
	URL string
	// Filename is what the file is to be called; empty means as the path of the URL ends.
	Filename string
	// Checksum, if not empty, is what the content must hash to: "sha256:…", "sha384:…" or "sha512:…".
	Checksum string
}

// File is a download.
type File struct {
	// Path is the absolute path of a directory that holds nothing but the file. It belongs to the HTTP that
	// returned it, is complete, stays until that is closed, and must not be changed.
	Path string
	// Name is what the file in it is called. Its mode is 0600, its modification time LastModified or, if
	// that is nil, 1970-01-01.
	Name string
	// Digest is the SHA-256 of the content, as "sha256:…".
	Digest string
	// Size is in bytes.
	Size int64
	// LastModified is nil if the server did not say.
	LastModified *time.Time
}

const defaultMaxSize = 16 << 30

// Fetch downloads a file, unless it is here already: with a checksum content that was downloaded before is
// used without asking, without one the server is asked once whether it has changed.
func (h *HTTP) Fetch(ctx context.Context, r Request) (File, error) {
	t, err := newTarget(r)
	if err != nil {
		return File{}, err
	}
	if err := h.shelf.open(h.Dir); err != nil {
		return File{}, err
	}
	f, err := h.fetch(ctx, t)
	if err != nil {
		return File{}, fmt.Errorf("downloading %s: %w", t.name, err)
	}
	return f, nil
}

func (h *HTTP) fetch(ctx context.Context, t target) (File, error) {
	if f, ok := h.known(t); ok {
		return f, nil
	}
	l, err := h.shelf.lock(ctx, t.key())
	if err != nil {
		return File{}, err
	}
	defer l.Close()
	if f, ok := h.known(t); ok { // somebody else was about it
		return f, nil
	}
	d, err := h.newDownload(t)
	if err != nil {
		return File{}, err
	}
	defer d.drop()
	f, err := d.run(ctx)
	if err == nil {
		h.remember(t, f)
	}
	return f, err
}

// known returns a download that need not be asked for: one of this process, or one with the right checksum.
func (h *HTTP) known(t target) (File, bool) {
	h.mu.Lock()
	f, ok := h.seen[t.key()]
	h.mu.Unlock()
	if ok || t.checksum == "" {
		return f, ok
	}
	a, ok := h.recall(t.key(), t)
	return a.file(t), ok
}

func (h *HTTP) remember(t target, f File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil {
		h.seen = map[string]File{}
	}
	h.seen[t.key()] = f
}

// Close lets go of all downloads, which may be removed then, and of idle connections.
func (h *HTTP) Close() {
	h.shelf.close()
	h.client().CloseIdleConnections()
}

func (h *HTTP) client() *http.Client {
	h.once.Do(func() {
		h.doer = &http.Client{Transport: newTransport(h.Timeouts, h.TLS, h.Proxy), CheckRedirect: httpclient.Redirect}
	})
	return h.doer
}

// do sends a request for t with the credentials for it. An error does not hold the address, which may hold
// credentials itself.
func (h *HTTP) do(ctx context.Context, method string, t target, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, t.url.String(), nil)
	if err != nil {
		return nil, bare(err)
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("User-Agent", cmp.Or(h.UserAgent, "builder"))
	if err := h.authorize(req, t); err != nil {
		return nil, err
	}
	resp, err := h.client().Do(req)
	return resp, bare(err)
}

// bare returns the cause of an error of net/http.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// authorize adds the credentials for t: a token, a whole header, or a name and a password in the address.
func (h *HTTP) authorize(req *http.Request, t target) error {
	if t.user != nil {
		password, _ := t.user.Password()
		req.SetBasicAuth(t.user.Username(), password)
	}
	host := t.url.Hostname()
	for _, s := range []struct{ name, prefix string }{
		{"HTTP_AUTH_HEADER_" + host, ""},
		{"HTTP_AUTH_TOKEN_" + host, "Bearer "},
	} {
		value, err := secret(h.Secret, s.name)
		if err != nil {
			return err
		}
		if value != "" {
			req.Header.Set("Authorization", s.prefix+value)
		}
	}
	return nil
}

// secret returns the value of a secret without white space around it, "" if it was not given.
func secret(get func(string) ([]byte, error), name string) (string, error) {
	if get == nil {
		return "", nil
	}
	value, err := get(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the secret %s: %w", name, err)
	}
	return string(bytes.TrimSpace(value)), nil
}
