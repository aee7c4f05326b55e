//go:build linux

package fetch

import (
	"encoding/json"
	"net/http"
	"os"
	"time"
)

// address is what is known of an address, or of a checksum, since it was last asked for.
type address struct {
	// Key names the tree.
	Key    string   `json:"key"`
	Digest checksum `json:"digest"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// ETag and Modified are as the server sent them; empty if it did not.
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
	// Since says that Modified was old enough to tell whether the content is another.
	Since bool `json:"since,omitempty"`

	tree string
}

// recall returns what the index has under key, if the file of t is still there and whole.
func (h *HTTP) recall(key string, t target) (address, bool) {
	text, err := os.ReadFile(h.shelf.path(indexDir, key))
	if err != nil {
		return address{}, false
	}
	var a address
	if json.Unmarshal(text, &a) != nil || a.Key != fileKey(a.Digest, t.filename, a.Modified) {
		return address{}, false
	}
	var ok bool
	a.tree, ok = h.shelf.get(entry{key: a.Key})
	return a, ok
}

// fileKey names a tree of one file.
func fileKey(digest checksum, filename, modified string) string {
	return keyOf("file", string(digest), filename, modified)
}

// note puts a into the index: under the address, and under every checksum that is known.
func (d *download) note(a address) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	keys := []string{
		keyOf("address", d.target.url.String(), d.target.filename),
		sumKey(d.sums.digest(), d.target.filename),
		sumKey(d.sums.asked(), d.target.filename),
	}
	for _, key := range keys {
		if err := d.draft.writeFile(d.http.shelf.path(indexDir, key), text); err != nil {
			return err
		}
	}
	return nil
}

// describe notes what the header of an answer says about its content.
func (a *address) describe(header http.Header) {
	a.ETag, a.Modified, a.Since = header.Get("ETag"), "", false
	modified, err := http.ParseTime(header.Get("Last-Modified"))
	if err != nil {
		return
	}
	a.Modified = header.Get("Last-Modified")
	// A time has whole seconds, so what was modified just now may be modified again within the same one
	// (RFC 9110, section 8.8.2.2).
	date, err := http.ParseTime(header.Get("Date"))
	a.Since = err == nil && date.Sub(modified) >= time.Minute
}

// conditions asks to send the content only if it is not that of a.
func (a address) conditions(header http.Header) {
	if a.ETag != "" {
		header.Set("If-None-Match", a.ETag)
	} else if a.Since {
		header.Set("If-Modified-Since", a.Modified)
	}
}

// strong returns a validator that no other content has, not even one that means the same; "" if there is none.
func (a address) strong() string {
	switch {
	case a.ETag != "" && a.ETag[0] == '"':
		return a.ETag
	case a.Since:
		return a.Modified
	}
	return ""
}

// file returns what a is to one who asked for t.
func (a address) file(t target) File {
	f := File{Path: a.tree, Name: t.filename, Digest: string(a.Digest), Size: a.Size}
	if a.Modified != "" {
		if m, err := http.ParseTime(a.Modified); err == nil {
			f.LastModified = &m
		}
	}
	return f
}
