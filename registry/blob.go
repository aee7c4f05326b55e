package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/httpclient"
)

// open gets a blob from offset on, once.
func (c *Client) open(ctx context.Context, repo name.Repository, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	var body io.ReadCloser
	err := c.from(ctx, repo, func(e endpoint) (err error) {
		body, err = e.open(ctx, request{method: http.MethodGet, url: e.url("blobs", d.Digest.String())}, d.Size, offset)
		return err
	})
	if len(d.URLs) == 0 || !errors.Is(err, fs.ErrNotExist) {
		return body, err
	}
	if !c.config.ForeignURLs {
		return nil, fmt.Errorf("%w; the image says the layer is at %s, where it is not fetched from unless that is allowed", err, oneLine(d.URLs[0]))
	}
	return c.openForeign(ctx, d, offset)
}

// openForeign gets a blob from one of the URLs in its descriptor. They are none of the registry's business,
// so they get no credentials.
func (c *Client) openForeign(ctx context.Context, d v1.Descriptor, offset int64) (body io.ReadCloser, err error) {
	for _, place := range d.URLs {
		u, parseErr := url.Parse(place)
		if parseErr != nil || (u.Scheme != "https" && u.Scheme != "http") {
			err = httpclient.Refusef("the layer is said to be at %s, which is not a URL of a web server", oneLine(place))
			continue
		}
		nowhere := endpoint{client: c, host: &host{}}
		if body, err = nowhere.open(ctx, request{method: http.MethodGet, url: u}, d.Size, offset); err == nil {
			return body, nil
		}
	}
	return nil, err
}

// open sends r for size bytes from offset on. Where ranges are not understood it skips what is not needed.
func (e endpoint) open(ctx context.Context, r request, size, offset int64) (io.ReadCloser, error) {
	r.accept = []int{http.StatusOK}
	ranged := r
	if offset > 0 {
		ranged = r.set("Range", fmt.Sprintf("bytes=%d-%d", offset, size-1))
		ranged.accept = []int{http.StatusOK, http.StatusPartialContent}
	}
	resp, err := e.attempt(ctx, ranged)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		resp, err = e.attempt(ctx, r)
	}
	if err != nil {
		return nil, e.client.denied(ctx, e.access, err)
	}
	if err := position(resp, size, offset); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// position brings the body of resp to offset of a blob with size bytes.
func position(resp *http.Response, size, offset int64) error {
	if resp.StatusCode == http.StatusPartialContent {
		start, total, err := parseContentRange(resp.Header.Get("Content-Range"))
		if err != nil {
			return err
		}
		if start != offset || (total >= 0 && total != size) {
			return corruptf("asked for byte %d of %d the registry sent byte %d of %d", offset, size, start, total)
		}
		return checkLength(resp, size-offset)
	}
	if err := checkLength(resp, size); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, resp.Body, offset)
	return err
}

func checkLength(resp *http.Response, want int64) error {
	if resp.ContentLength >= 0 && resp.ContentLength != want {
		return corruptf("%s has %d bytes and not %d", redact(resp.Request.URL), resp.ContentLength, want)
	}
	return nil
}

// parseContentRange reads a Content-Range header of a single range (RFC 9110, section 14.4). total is -1 if
// it is not known.
func parseContentRange(value string) (start, total int64, err error) {
	wrong := fmt.Errorf("the registry sent the unintelligible Content-Range %q", oneLine(value))
	rest, ok := strings.CutPrefix(value, "bytes ")
	span, all, ok2 := strings.Cut(rest, "/")
	first, last, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, wrong
	}
	start, err1 := parseOffset(first)
	end, err2 := parseOffset(last)
	total = -1
	var err3 error
	if all != "*" {
		total, err3 = parseOffset(all)
	}
	if errors.Join(err1, err2, err3) != nil || end < start || (total >= 0 && end >= total) {
		return 0, 0, wrong
	}
	return start, total, nil
}

// parseOffset reads a number of bytes, which has no sign.
func parseOffset(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}
