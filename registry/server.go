package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log" //nolint:depguard // to keep go-containerregistry from logging
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// server is a registry that keeps everything in a directory:
//
//	blobs/ALGORITHM/HEX            every blob
//	uploads/ID                     blobs that are not complete
//	manifests/NAME/_refs/REFERENCE the media type on a line, then the manifest
//
// Reading is left to go-containerregistry's registry, which holds the manifests in memory. What writes is
// done here, so that it is on disk, complete, before it is acknowledged.
type server struct {
	dir     string
	blobs   blobDir
	uploads uploads
	reader  http.Handler
}

// Handler returns a registry on dir, which is made if it does not exist. Two handlers must not share one:
// what an earlier one has left of uploads is removed.
func Handler(dir string) (http.Handler, error) {
	s := &server{dir: dir, blobs: blobDir(filepath.Join(dir, "blobs"))}
	s.uploads = uploads{dir: filepath.Join(dir, "uploads"), blobs: s.blobs}
	s.reader = registry.New(
		registry.WithBlobHandler(s.blobs),
		registry.WithReferrersSupport(true),
		registry.Logger(log.New(io.Discard, "", 0)),
	)
	if err := os.RemoveAll(s.uploads.dir); err != nil {
		return nil, fmt.Errorf("clearing the registry's uploads: %w", err)
	}
	for _, d := range []string{s.uploads.dir, string(s.blobs)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("making the registry's directory: %w", err)
		}
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("reading the registry in %s: %w", dir, err)
	}
	return s, nil
}

// Listen opens the address of a registry. Without a host it is one that only this machine reaches.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

// Serve answers on l until ctx ends, which is not an error, and closes l. Requests that run then have ten
// seconds to finish.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	const patience = 10 * time.Second
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		stopped <- s.Shutdown(ctx)
	})
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped
}

// route is a request for something in a repository.
type route struct{ repository, kind, reference string }

var routes = regexp.MustCompile(`^/v2/(` + repositoryName + `)/(?:(manifests)/([^/]+)|blobs/(uploads)/([0-9a-f]*))$`)

// maxUploadName is how long the name of an upload may be.
const maxUploadName = 64

// parseRoute takes the path of a request apart. Only allowed names are a route, so every part of one can
// stand in a file name.
func parseRoute(path string) (route, bool) {
	match := routes.FindStringSubmatch(path)
	if match == nil || match[2] != "" && checkReference(match[3]) != nil || len(match[5]) > maxUploadName {
		return route{}, false
	}
	return route{match[1], match[2] + match[4], match[3] + match[5]}, true
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r, ok := parseRoute(req.URL.Path)
	switch {
	case ok && r.kind == "uploads":
		s.uploads.serve(w, req, r)
	case ok && req.Method == http.MethodPut:
		s.putManifest(w, req, r)
	case ok && req.Method == http.MethodDelete:
		s.deleteManifest(w, req, r)
	case req.Method == http.MethodGet, req.Method == http.MethodHead, req.Method == http.MethodDelete:
		s.reader.ServeHTTP(w, req)
	default:
		complain(w, http.StatusBadRequest, "NAME_INVALID", "this is not the name of a repository, a manifest or an upload")
	}
}

// complain answers with an error in the form of the distribution specification.
func complain(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

func (s *server) putManifest(w http.ResponseWriter, req *http.Request, r route) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxManifest))
	if err != nil {
		complain(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", err.Error())
		return
	}
	m, err := parseManifest(raw)
	if err == nil {
		err = m.fits(req.Header.Get("Content-Type"))
	}
	if want, noDigest := v1.NewHash(r.reference); err == nil && noDigest == nil {
		err = verify(raw, want)
	}
	if err != nil {
		complain(w, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
		return
	}
	if missing, ok := s.blobs.missing(m); ok {
		complain(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", "there is no blob "+missing.String())
		return
	}
	for _, reference := range []string{r.reference, m.Descriptor.Digest.String()} {
		if err := s.save(route{r.repository, r.kind, reference}, m); err != nil {
			complain(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
			return
		}
	}
	req.Body = io.NopCloser(bytes.NewReader(raw))
	s.reader.ServeHTTP(w, req)
}

func (s *server) deleteManifest(w http.ResponseWriter, req *http.Request, r route) {
	if err := os.Remove(s.file(r)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		complain(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	s.reader.ServeHTTP(w, req)
}

func (s *server) file(r route) string {
	return filepath.Join(s.dir, "manifests", filepath.FromSlash(r.repository), "_refs", r.reference)
}

func (s *server) save(r route, m *Manifest) error {
	path := s.file(r)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.uploads.dir, "manifest-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is gone if it was renamed
	_, err = fmt.Fprintf(f, "%s\n%s", m.Descriptor.MediaType, m.Raw)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// load gives the manifests on disk to the reader. It wants what an index refers to before the index, so
// what it refuses is offered again for as long as something new is taken.
func (s *server) load() error {
	root := filepath.Join(s.dir, "manifests")
	var left []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == root {
			return nil
		}
		if err == nil && !d.IsDir() {
			left = append(left, path)
		}
		return err
	})
	for taken := true; err == nil && taken && len(left) > 0; {
		var refused []string
		for _, path := range left {
			ok, offerErr := s.offer(root, path)
			if offerErr != nil {
				return offerErr
			}
			if !ok {
				refused = append(refused, path)
			}
		}
		taken, left = len(refused) < len(left), refused
	}
	return err
}

// offer puts a manifest on disk into the reader and reports whether that took it.
func (s *server) offer(root, path string) (bool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	media, raw, _ := bytes.Cut(content, []byte("\n"))
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return false, err
	}
	place := "/v2/" + strings.Replace(filepath.ToSlash(rel), "/_refs/", "/manifests/", 1)
	req, err := http.NewRequest(http.MethodPut, place, bytes.NewReader(raw)) //nolint:noctx // it goes nowhere
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", string(types.MediaType(media)))
	answer := &statusOnly{header: http.Header{}}
	s.reader.ServeHTTP(answer, req)
	return answer.status == http.StatusCreated, nil
}

// statusOnly is an http.ResponseWriter for those who only want to know how it went.
type statusOnly struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (w *statusOnly) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *statusOnly) WriteHeader(status int) { w.status = status }

func (w *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
