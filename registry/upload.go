package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-298d225e/builder/httpclient"
)

// chunkSize is how much of a blob is sent in one request. What is not larger goes in one piece, which
// costs a request less and is what every registry understands.
const chunkSize = 32 << 20

// upload is one blob on its way into a repository.
type upload struct {
	endpoint
	source *source
	// location is the registry's name for the upload, nil if none has begun.
	location *url.URL
	// offset is how much the registry has.
	offset int64
	// chunk is how much is sent in one request, at most limit, if that is not 0.
	chunk, limit int64
	// whole: the registry does not take chunks.
	whole bool
	// resumed: offset is what the registry has said when it was asked.
	resumed bool
}

// run uploads the blob. It goes on where the registry says that it stopped, and starts over where the
// registry has forgotten.
func (u *upload) run(ctx context.Context) error {
	defer u.source.close()
	var mark int64
	restarted := false
	for try := 1; ; try++ {
		err := u.once(ctx)
		if err == nil {
			u.source.report(u.source.size)
			return nil
		}
		if errors.Is(err, ErrCorrupt) && !restarted {
			restarted = true
			if err := u.restart(ctx); err != nil {
				return err
			}
			continue
		}
		if u.offset > mark {
			try, mark = 1, u.offset
		}
		if err := u.retry.Wait(ctx, try, err); err != nil {
			return u.client.denied(ctx, u.access, err)
		}
	}
}

// once goes on with the upload until it is complete or something fails.
func (u *upload) once(ctx context.Context) error {
	if u.location == nil {
		if err := u.begin(ctx); err != nil {
			return err
		}
	}
	if u.whole || u.source.size <= u.chunk {
		return u.afterWhole(u.putWhole(ctx))
	}
	for u.offset < u.source.size {
		if err := u.patch(ctx); err != nil {
			return u.afterPatch(ctx, err)
		}
	}
	return u.complete(ctx, request{})
}

func (u *upload) begin(ctx context.Context) error {
	r := request{method: http.MethodPost, url: u.uploads(), accept: []int{http.StatusAccepted}}
	resp, err := u.attempt(ctx, r)
	if err != nil {
		return err
	}
	return u.began(resp)
}

// uploads is where uploads begin. The trailing slash is part of the specification.
func (e endpoint) uploads() *url.URL { return e.url("blobs", "uploads/") }

// began takes the location of a new upload out of resp, and closes it.
func (u *upload) began(resp *http.Response) error {
	resp.Body.Close()
	u.forget()
	if err := u.moved(resp); err != nil {
		return err
	}
	if u.location == nil {
		return fmt.Errorf("%s does not say where to upload to", u.host.name)
	}
	u.chunk = u.client.chunk
	if u.limit > 0 {
		u.chunk = min(u.chunk, u.limit)
	}
	if least, err := parseOffset(resp.Header.Get("OCI-Chunk-Min-Length")); err == nil {
		u.chunk = max(u.chunk, least)
	}
	return nil
}

// moved follows the Location header of resp, if there is one; it may be relative to what was asked for (RFC 9110,
// section 10.2.2). A registry behind a proxy may not know that it is spoken to in https, so on the same host that is
// kept.
func (u *upload) moved(resp *http.Response) error {
	value := resp.Header.Get("Location")
	if value == "" {
		return nil
	}
	base := resp.Request.URL
	to, err := base.Parse(value)
	if err != nil {
		return httpclient.Refusef("%s sends the upload to something that is not a URL", u.host.name)
	}
	if to.Host == base.Host {
		to.Scheme = base.Scheme
	}
	if err := httpclient.CheckStep(base, to); err != nil {
		return err
	}
	to.User, to.Fragment = nil, ""
	u.location = to
	return nil
}

// patch sends the next chunk.
func (u *upload) patch(ctx context.Context) error {
	offset, n := u.offset, min(u.chunk, u.source.size-u.offset)
	r := request{
		method: http.MethodPatch, url: u.location, accept: []int{http.StatusAccepted, http.StatusCreated, http.StatusNoContent},
		size: n, body: func() (io.ReadCloser, error) { return u.source.section(offset, n) },
	}
	r = r.set("Content-Type", "application/octet-stream").set("Content-Range", fmt.Sprintf("%d-%d", offset, offset+n-1))
	resp, err := u.attempt(ctx, r)
	if err != nil {
		return err
	}
	resp.Body.Close()
	has := offset + n
	if said, err := parseUploadRange(resp.Header.Get("Range")); err == nil {
		has = min(said, has)
	}
	if has <= offset {
		return fmt.Errorf("%s has taken nothing of %d bytes", u.host.name, n)
	}
	u.offset = has
	return u.moved(resp)
}

// afterPatch finds out how to go on after a chunk has failed with err. It returns it, without its status if
// that is of a kind that is not tried again and here is.
func (u *upload) afterPatch(ctx context.Context, err error) error {
	s := status(err)
	switch {
	case s == http.StatusRequestEntityTooLarge && u.shrink():
		return fmt.Errorf("%s takes no requests of that size: %s", u.host.name, err.Error())
	case chunksRefused(s) && (u.offset == 0 || s != http.StatusRequestedRangeNotSatisfiable):
		u.whole = true
		u.forget()
		return fmt.Errorf("%s takes no chunks: %s", u.host.name, err.Error())
	case s == http.StatusRequestedRangeNotSatisfiable:
		err = fmt.Errorf("%s is at another place: %s", u.host.name, err.Error())
	case s == http.StatusNotFound:
		u.forget()
		return fmt.Errorf("%s has forgotten the upload: %s", u.host.name, err.Error())
	case !httpclient.Transient(err):
		return err
	}
	before := u.offset
	if resumeErr := u.resume(ctx); resumeErr != nil || (u.offset == before && s != 0 && !httpclient.TransientStatus(s)) {
		u.forget() // it cannot be told what the registry has
	}
	return err
}

// afterWhole finds out how to go on after the blob was sent in one request, with err if that has failed.
func (u *upload) afterWhole(err error) error {
	if status(err) == http.StatusRequestEntityTooLarge && !u.whole && u.shrink() {
		return fmt.Errorf("%s takes no requests of that size: %s", u.host.name, err.Error())
	}
	return err
}

// shrink makes the upload begin anew with smaller requests, because a proxy before the registry bounds them. It reports
// whether they could be smaller.
func (u *upload) shrink() bool {
	const least = 256 << 10
	size := min(u.chunk, u.source.size)
	if size <= least {
		return false
	}
	u.limit = max(size/8, least)
	u.forget()
	return true
}

func chunksRefused(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusLengthRequired, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	}
	return false
}

// resume asks the registry how much it has.
func (u *upload) resume(ctx context.Context) error {
	r := request{method: http.MethodGet, url: u.location, accept: []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted}}
	resp, err := u.do(ctx, r)
	if err != nil {
		return err
	}
	resp.Body.Close()
	has, err := parseUploadRange(resp.Header.Get("Range"))
	if err != nil {
		return err
	}
	u.offset, u.resumed = min(has, u.source.size), true
	return u.moved(resp)
}

// putWhole sends the blob in one request.
func (u *upload) putWhole(ctx context.Context) error {
	r := request{size: u.source.size}
	if r.size > 0 {
		r.body = func() (io.ReadCloser, error) { return u.source.section(0, r.size) }
	}
	return u.complete(ctx, r.set("Content-Type", "application/octet-stream"))
}

// complete ends the upload with r. The answer may be lost and the blob be there all the same. If it is not,
// an upload whose bytes are all there is completed again; any other starts over.
func (u *upload) complete(ctx context.Context, r request) error {
	at := *u.location
	if at.RawQuery != "" {
		at.RawQuery += "&"
	}
	at.RawQuery += "digest=" + url.QueryEscape(u.source.digest.String())
	r.method, r.url, r.accept = http.MethodPut, &at, []int{http.StatusCreated, http.StatusNoContent}
	resp, err := u.attempt(ctx, r)
	if err == nil {
		resp.Body.Close()
		return nil
	}
	if u.resumed && misplaced(status(err)) {
		u.forget()
		return fmt.Errorf("%s did not have what it had said: %s", u.host.name, err.Error())
	}
	forgotten := status(err) == http.StatusNotFound
	if !forgotten && !httpclient.Transient(err) {
		return err
	}
	if there, headErr := u.has(ctx, u.source.digest); headErr == nil && there {
		return nil
	}
	if forgotten || r.body != nil {
		u.forget()
	}
	if forgotten {
		return fmt.Errorf("%s has forgotten the upload: %s", u.host.name, err.Error())
	}
	return err
}

// misplaced reports whether a registry answers so if the bytes that it has are not those of the digest.
func misplaced(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusRequestedRangeNotSatisfiable
}

// restart drops what has been sent and reads the layer anew.
func (u *upload) restart(ctx context.Context) (err error) {
	u.abandon(ctx)
	u.source.close()
	u.source, err = newSource(u.source.layer, u.source.digest, u.source.size, u.source.report)
	return err
}

// farewell is less than what an interrupted build may take to end.
const farewell = 5 * time.Second

// abandon tells the registry that nothing more will come. It need not succeed: uploads expire.
func (u *upload) abandon(ctx context.Context) {
	if u.location == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, u.client.farewell)
	defer cancel()
	r := request{method: http.MethodDelete, url: u.location, accept: []int{http.StatusNoContent, http.StatusAccepted, http.StatusOK}}
	if resp, err := u.attempt(ctx, r); err == nil {
		resp.Body.Close()
	}
	u.forget()
}

// forget makes the upload begin anew.
func (u *upload) forget() { u.location, u.offset, u.resumed = nil, 0, false }

// parseUploadRange reads the Range header of an upload, "0-LAST", and returns how many bytes that are. A
// new upload has "0-0" too, so a single byte counts as none.
func parseUploadRange(value string) (int64, error) {
	first, last, ok := strings.Cut(strings.TrimPrefix(value, "bytes="), "-")
	n, err := strconv.ParseUint(last, 10, 62)
	if !ok || first != "0" || err != nil {
		return 0, fmt.Errorf("the registry sent the unintelligible Range %q", oneLine(value))
	}
	if n == 0 {
		return 0, nil
	}
	return int64(n) + 1, nil
}
