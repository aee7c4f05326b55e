package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// GHAOptions say how the cache of GitHub Actions is reached.
type GHAOptions struct {
	// URL is the value of ACTIONS_RESULTS_URL, Token that of ACTIONS_RUNTIME_TOKEN.
	URL, Token string
	// Scope keeps caches apart that do not belong together.
	Scope string
	// Client sends the requests. It must bound how long it waits for an answer.
	Client    *http.Client
	UserAgent string
}

// GHA is a bucket in the cache of GitHub Actions, version 2 of its service: a call in JSON gives a signed URL of a
// blob, which is then read or written.
type GHA struct {
	options GHAOptions
	service *url.URL
	// version is part of the identity of every entry.
	version string
}

// maxAnswer is what is read of an answer of the service at most.
const maxAnswer = 1 << 20

// NewGHA returns the bucket. Nothing is asked of the service yet.
func NewGHA(o GHAOptions) (*GHA, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	if u.Host == "" || o.Token == "" {
		return nil, errors.New("it needs the URL and the token of the service (ACTIONS_RESULTS_URL and ACTIONS_RUNTIME_TOKEN, which only a step of an action sees; see docs/CACHE.md)")
	}
	return &GHA{options: o, service: u.JoinPath("twirp/github.actions.results.api.v1.CacheService"), version: hexSum([]byte("builder cache 1"))}, nil
}

// key is the key of the entry that holds an object.
func (g *GHA) key(name string) string { return "builder-" + g.options.Scope + "-" + name }

// entry is the request and the answer of all calls.
type entry struct {
	Key         string   `json:"key,omitempty"`
	Version     string   `json:"version,omitempty"`
	RestoreKeys []string `json:"restore_keys,omitempty"`
	SizeBytes   string   `json:"size_bytes,omitempty"`

	OK                bool   `json:"ok,omitempty"`
	SignedUploadURL   string `json:"signed_upload_url,omitempty"`
	SignedDownloadURL string `json:"signed_download_url,omitempty"`
	MatchedKey        string `json:"matched_key,omitempty"`
}

// serviceError is what the service says when it refuses, as Twirp has it.
type serviceError struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"msg"`
}

func (e *serviceError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the service answered %d %s %s", e.status, e.Code, e.Message))
}

// call calls a method of the service.
func (g *GHA) call(ctx context.Context, method string, e entry) (answer entry, err error) {
	e.Version = g.version
	body, err := json.Marshal(e)
	if err != nil {
		return answer, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.service.JoinPath(method).String(), bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	req.Header.Set("Authorization", "Bearer "+g.options.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.send(req)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer, err
	}
	if resp.StatusCode != http.StatusOK {
		refused := &serviceError{status: resp.StatusCode}
		_ = json.Unmarshal(raw, refused) // the status says enough
		return answer, refused
	}
	return answer, json.Unmarshal(raw, &answer)
}

func (g *GHA) send(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", g.options.UserAgent)
	resp, err := g.options.Client.Do(req)
	if failure, ok := errors.AsType[*url.Error](err); ok { // its URL is signed, so it is a secret
		err = fmt.Errorf("%s %s: %w", req.Method, req.URL.Host, failure.Err)
	}
	return resp, err
}

// find returns the URL of an object. A miss is fs.ErrNotExist.
func (g *GHA) find(ctx context.Context, name string) (string, error) {
	a, err := g.ask(ctx, entry{Key: g.key(name)})
	if err == nil && a.MatchedKey != "" && a.MatchedKey != g.key(name) {
		err = fs.ErrNotExist
	}
	return a.SignedDownloadURL, err
}

// ask asks for the URL of an entry. A miss is fs.ErrNotExist.
func (g *GHA) ask(ctx context.Context, e entry) (entry, error) {
	a, err := g.call(ctx, "GetCacheEntryDownloadURL", e)
	var refused *serviceError
	if errors.As(err, &refused) && refused.Code == "not_found" {
		return a, fs.ErrNotExist
	}
	if err != nil {
		return a, fmt.Errorf("looking for %s: %w", e.Key, err)
	}
	if !a.OK {
		return a, fs.ErrNotExist
	}
	return a, nil
}

// Exists implements Bucket.
func (g *GHA) Exists(ctx context.Context, name string) (bool, error) {
	_, err := g.find(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Open implements Bucket.
func (g *GHA) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	at, err := g.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return g.open(ctx, name, at, offset)
}

// OpenLatest implements Bucket. Every version of an object that changes is an entry of its own; the service finds the
// last one whose key begins as asked for.
func (g *GHA) OpenLatest(ctx context.Context, name string) (io.ReadCloser, error) {
	prefix := g.key(name) + "-"
	a, err := g.ask(ctx, entry{Key: prefix, RestoreKeys: []string{prefix}})
	if err != nil {
		return nil, err
	}
	return g.open(ctx, name, a.SignedDownloadURL, 0)
}

// Replace implements Bucket.
func (g *GHA) Replace(ctx context.Context, name string, content []byte) error {
	return g.Write(ctx, name+"-"+hexSum(content), int64(len(content)), func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
}

// open opens what is at a signed URL.
func (g *GHA) open(ctx context.Context, name, at string, offset int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("reading %s: the service names no URL", name)
	}
	want := http.StatusOK
	if offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
		want = http.StatusPartialContent
	}
	resp, err := g.send(req)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if resp.StatusCode != want {
		resp.Body.Close()
		return nil, fmt.Errorf("reading %s: %s answered %s", name, req.URL.Host, resp.Status)
	}
	return resp.Body, nil
}

// Write implements Bucket.
func (g *GHA) Write(ctx context.Context, name string, size int64, open func() (io.ReadCloser, error)) error {
	err := g.write(ctx, name, size, open)
	var refused *serviceError
	if errors.As(err, &refused) && (refused.Code == "already_exists" || refused.status == http.StatusConflict) {
		return nil // somebody else is writing the same
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (g *GHA) write(ctx context.Context, name string, size int64, open func() (io.ReadCloser, error)) error {
	a, err := g.call(ctx, "CreateCacheEntry", entry{Key: g.key(name)})
	if err != nil {
		return err
	}
	if !a.OK {
		return &serviceError{status: http.StatusConflict}
	}
	if err := g.upload(ctx, a.SignedUploadURL, size, open); err != nil {
		return err
	}
	a, err = g.call(ctx, "FinalizeCacheEntryUpload", entry{Key: g.key(name), SizeBytes: strconv.FormatInt(size, 10)})
	if err == nil && !a.OK {
		err = errors.New("the service has not taken it")
	}
	return err
}

// upload puts a blob to a signed URL of Azure's blob storage, in one request ("Put Blob").
func (g *GHA) upload(ctx context.Context, to string, size int64, open func() (io.ReadCloser, error)) error {
	body, err := open()
	if err != nil {
		return err
	}
	defer body.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, body)
	if err != nil {
		return errors.New("the service names no URL to write to")
	}
	req.ContentLength = size
	req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := g.send(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s answered %s", req.URL.Host, resp.Status)
	}
	return nil
}
