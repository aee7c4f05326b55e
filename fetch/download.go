//go:build linux

package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/seed-298d225e/builder/httpclient"
)

// download is a file that is being downloaded.
type download struct {
	http   *HTTP
	target target
	draft  *draft
	file   *os.File
	sums   sums
	// old is what the address had the last time; its tree is empty if that is not known.
	old address
	// new is what the server says about the content.
	new address
	// size is how much has come so far, in bytes; total is 0 if it is unknown.
	size, total int64
	// ranges says that the rest can be asked for; resumed, that it was.
	ranges, resumed bool
}

func (h *HTTP) newDownload(t target) (*download, error) {
	d, err := h.shelf.draft()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(d.tree(), t.filename), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		d.drop()
		return nil, err
	}
	old := address{}
	if t.checksum == "" {
		old, _ = h.recall(t.key(), t)
	}
	return &download{http: h, target: t, draft: d, file: f, sums: newSums(t.checksum), old: old}, nil
}

func (d *download) drop() {
	d.file.Close()
	d.draft.drop()
}

// errUnchanged says that the content is that of the last time.
var errUnchanged = errors.New("unchanged")

// run downloads the file and puts it on the shelf.
func (d *download) run(ctx context.Context) (File, error) {
	err := d.transfer(ctx)
	if errors.Is(err, errUnchanged) {
		return d.old.file(d.target), nil
	}
	if err != nil {
		return File{}, err
	}
	if err := d.verify(); err != nil {
		if !d.resumed {
			return File{}, err
		}
		// A server that joins parts of different contents is asked for the whole again.
		d.ranges = false
		if err := d.transfer(ctx); err != nil {
			return File{}, err
		}
		if err := d.verify(); err != nil {
			return File{}, err
		}
	}
	return d.publish()
}

func (d *download) verify() error {
	if want := d.target.checksum; want != "" && d.sums.asked() != want {
		return fmt.Errorf("digest mismatch: got %s, expected %s", d.sums.asked(), want)
	}
	return nil
}

// transfer tries until the whole content has come. What has come so far is kept between the tries if the
// server can send the rest.
func (d *download) transfer(ctx context.Context) error {
	const much = 1 << 20
	most := int64(0)
	for try := 1; ; try++ {
		err := d.try(ctx)
		if err == nil || errors.Is(err, errUnchanged) {
			return err
		}
		if d.size >= most+much { // it goes on, if slowly
			most, try = d.size, 1
		}
		if err := d.http.Retry.Wait(ctx, try, err); err != nil {
			return err
		}
	}
}

// try sends one request and reads its answer to the end.
func (d *download) try(ctx context.Context) error {
	ctx, watch := httpclient.NewWatch(ctx, d.target.url.Host, d.http.Timeouts.WithDefaults().Idle)
	defer watch.End()
	from, header := d.header()
	resp, err := d.http.do(ctx, http.MethodGet, d.target, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := d.begin(resp, from); err != nil {
		return err
	}
	body := io.Reader(watch.Incoming(resp.Body))
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			return fmt.Errorf("decompressing what the server sent: %w", err)
		}
	}
	if err := d.copy(body); err != nil {
		return err
	}
	if d.total > 0 && d.size != d.total {
		return fmt.Errorf("the server sent %d of %d bytes", d.size, d.total)
	}
	d.progress(d.size)
	return nil
}

// header returns what a request is sent with, and from where on the content is asked for.
func (d *download) header() (from int64, header http.Header) {
	header = http.Header{}
	switch {
	case d.size > 0 && d.ranges:
		from = d.size
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		if v := d.new.strong(); v != "" {
			header.Set("If-Range", v)
		}
	case d.old.tree != "":
		d.old.conditions(header)
	}
	return from, header
}

// begin reads the status and the header of the answer to a request for the content from from on.
func (d *download) begin(resp *http.Response, from int64) error {
	switch {
	case resp.StatusCode == http.StatusNotModified && d.old.tree != "":
		return errUnchanged
	case resp.StatusCode == http.StatusPartialContent && from > 0:
		if !continues(resp.Header.Get("Content-Range"), from) {
			d.ranges = false
			return fmt.Errorf("the server sent %q instead of the rest", resp.Header.Get("Content-Range"))
		}
		d.resumed = true
		return nil
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && from > 0:
		d.ranges = false
		return errors.New("the server has no rest to send")
	case resp.StatusCode < 200 || resp.StatusCode > 299 || resp.StatusCode == http.StatusPartialContent:
		return newStatusError(resp)
	}
	return d.restart(resp)
}

// continues reports whether a Content-Range header is one of the bytes from from on.
func continues(header string, from int64) bool {
	s, ok := strings.CutPrefix(header, "bytes ")
	first, _, found := strings.Cut(s, "-")
	n, err := strconv.ParseInt(first, 10, 64)
	return ok && found && err == nil && n == from
}

// restart begins with the whole content.
func (d *download) restart(resp *http.Response) error {
	d.new.describe(resp.Header)
	if d.old.tree != "" && d.old.ETag != "" && sameETag(d.old.ETag, d.new.ETag) {
		return errUnchanged // the server does not know conditions, but ours still holds
	}
	d.sums.reset()
	d.size, d.total, d.resumed = 0, max(resp.ContentLength, 0), false
	encoded := resp.Header.Get("Content-Encoding") != ""
	if encoded {
		d.total = 0
	}
	d.ranges = !encoded && resp.Header.Get("Accept-Ranges") == "bytes" &&
		(d.new.strong() != "" || d.target.checksum != "")
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return d.file.Truncate(0)
}

// sameETag compares two entity tags as BuildKit does, weakly (RFC 9110, section 8.8.3.2).
func sameETag(a, b string) bool { return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") }

func (d *download) copy(body io.Reader) error {
	largest := cmp.Or(d.http.MaxSize, defaultMaxSize)
	if d.total > largest {
		return httpclient.Refusef("it is larger than %d bytes", largest)
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := body.Read(buffer)
		if _, err := d.file.Write(buffer[:n]); err != nil {
			return err
		}
		_, _ = d.sums.Write(buffer[:n])
		d.size += int64(n)
		if d.size > largest {
			return httpclient.Refusef("it is larger than %d bytes", largest)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		d.progress(d.total)
	}
}

// progress tells how far the download is. Only when it is complete are current and total equal.
func (d *download) progress(total int64) {
	if d.http.Progress != nil {
		d.http.Progress(d.target.name, d.size, total)
	}
}

// publish puts the file on the shelf and into the index. It is written through to the disk, because it may
// be there for long and nothing else would notice.
func (d *download) publish() (File, error) {
	d.new.Digest, d.new.Size = d.sums.digest(), d.size
	d.new.Key = fileKey(d.new.Digest, d.target.filename, d.new.Modified)
	modified := time.Unix(0, 0)
	if m, err := http.ParseTime(d.new.Modified); err == nil {
		modified = m
	}
	if err := os.Chtimes(d.file.Name(), modified, modified); err != nil {
		return File{}, err
	}
	if err := d.file.Sync(); err != nil {
		return File{}, err
	}
	tree, err := d.http.shelf.keep(d.draft, entry{key: d.new.Key})
	if err != nil {
		return File{}, err
	}
	d.new.tree = tree
	return d.new.file(d.target), d.note(d.new)
}
