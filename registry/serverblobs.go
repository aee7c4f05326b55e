package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blobDir is a directory of blobs. They get their names when they are complete, so what is there is right.
type blobDir string

func (d blobDir) path(h v1.Hash) string { return filepath.Join(string(d), h.Algorithm, h.Hex) }

// Get implements registry.BlobHandler.
func (d blobDir) Get(_ context.Context, _ string, h v1.Hash) (io.ReadCloser, error) {
	f, err := os.Open(d.path(h))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, registry.ErrNotFound
	}
	return f, err
}

// Stat implements registry.BlobStatHandler.
func (d blobDir) Stat(_ context.Context, _ string, h v1.Hash) (int64, error) {
	info, err := os.Stat(d.path(h))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, registry.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Delete implements registry.BlobDeleteHandler.
func (d blobDir) Delete(_ context.Context, _ string, h v1.Hash) error {
	err := os.Remove(d.path(h))
	if errors.Is(err, fs.ErrNotExist) {
		return registry.ErrNotFound
	}
	return err
}

// missing returns a blob that m refers to and that is not there.
func (d blobDir) missing(m *Manifest) (v1.Hash, bool) {
	if m.Image == nil {
		return v1.Hash{}, false
	}
	for _, b := range append([]v1.Descriptor{m.Image.Config}, m.Image.Layers...) {
		_, err := os.Stat(d.path(b.Digest))
		if err != nil && b.MediaType.IsDistributable() {
			return b.Digest, true
		}
	}
	return v1.Hash{}, false
}

// uploads are blobs on their way into a blobDir, one file each.
type uploads struct {
	dir   string
	blobs blobDir
	// busy has a lock for every upload that has been written to.
	busy sync.Map
}

func (u *uploads) lock(id string) (unlock func()) {
	l, _ := u.busy.LoadOrStore(id, &sync.Mutex{})
	mu, _ := l.(*sync.Mutex)
	mu.Lock()
	return mu.Unlock
}

// serve answers everything about uploads.
func (u *uploads) serve(w http.ResponseWriter, req *http.Request, r route) {
	if r.reference == "" {
		if req.Method != http.MethodPost {
			complain(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "uploads begin with POST")
			return
		}
		u.begin(w, req, r)
		return
	}
	defer u.lock(r.reference)()
	path := filepath.Join(u.dir, r.reference)
	info, err := os.Stat(path)
	if err != nil {
		complain(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
		return
	}
	switch req.Method {
	case http.MethodGet:
		u.progress(w, r, info.Size(), http.StatusNoContent)
	case http.MethodPatch:
		u.extend(w, req, r, info.Size())
	case http.MethodPut:
		u.complete(w, req, r)
	case http.MethodDelete:
		u.drop(r.reference)
		w.WriteHeader(http.StatusNoContent)
	default:
		complain(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "an upload is asked for, extended, completed or deleted")
	}
}

// begin mounts a blob that is there already, takes one that comes with the request, or makes an upload.
func (u *uploads) begin(w http.ResponseWriter, req *http.Request, r route) {
	if h, err := v1.NewHash(req.URL.Query().Get("mount")); err == nil {
		if _, err := os.Stat(u.blobs.path(h)); err == nil {
			created(w, r, h)
			return
		}
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	r.reference = hex.EncodeToString(id)
	f, err := os.OpenFile(filepath.Join(u.dir, r.reference), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err == nil {
		err = f.Close()
	}
	switch {
	case err != nil:
		complain(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
	case req.URL.Query().Has("digest"):
		u.complete(w, req, r)
	default:
		u.progress(w, r, 0, http.StatusAccepted)
	}
}

// progress answers how much of an upload is there.
func (u *uploads) progress(w http.ResponseWriter, r route, size int64, status int) {
	w.Header().Set("Location", "/v2/"+r.repository+"/blobs/uploads/"+r.reference)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	w.WriteHeader(status)
}

func (u *uploads) extend(w http.ResponseWriter, req *http.Request, r route, size int64) {
	if at := req.Header.Get("Content-Range"); at != "" {
		var start, end int64
		if _, err := fmt.Sscanf(at, "%d-%d", &start, &end); err != nil || start != size {
			u.progress(w, r, size, http.StatusRequestedRangeNotSatisfiable)
			return
		}
	}
	n, err := u.append(req, r.reference)
	if err != nil {
		complain(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	u.progress(w, r, size+n, http.StatusAccepted)
}

func (u *uploads) append(req *http.Request, id string) (int64, error) {
	f, err := os.OpenFile(filepath.Join(u.dir, id), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, req.Body)
	return n, errors.Join(err, f.Close())
}

func (u *uploads) complete(w http.ResponseWriter, req *http.Request, r route) {
	want, err := v1.NewHash(req.URL.Query().Get("digest"))
	if err != nil {
		complain(w, http.StatusBadRequest, "DIGEST_INVALID", err.Error())
		return
	}
	if _, err := u.append(req, r.reference); err != nil {
		complain(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	err = u.commit(r.reference, want)
	switch {
	case errors.Is(err, ErrCorrupt):
		u.drop(r.reference)
		complain(w, http.StatusBadRequest, "DIGEST_INVALID", err.Error())
	case err != nil:
		complain(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
	default:
		u.busy.Delete(r.reference)
		created(w, r, want)
	}
}

// commit gives a blob its name.
func (u *uploads) commit(id string, want v1.Hash) error {
	f, err := os.Open(filepath.Join(u.dir, id))
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return err
	}
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if err := verifySum(h, want); err != nil {
		return err
	}
	path := u.blobs.path(want)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (u *uploads) drop(id string) {
	_ = os.Remove(filepath.Join(u.dir, id)) // one that stays is only garbage
	u.busy.Delete(id)
}

func created(w http.ResponseWriter, r route, h v1.Hash) {
	w.Header().Set("Location", "/v2/"+r.repository+"/blobs/"+h.String())
	w.Header().Set("Docker-Content-Digest", h.String())
	w.WriteHeader(http.StatusCreated)
}
