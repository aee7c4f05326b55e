package registry

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// r-layer-digest, r-layer-longer, r-layer-shorter, r-huge-size: no reader sees the end of a layer that is wrong.
func TestLayerLies(t *testing.T) {
	content := []byte(strings.Repeat("layer ", 1000))
	other := []byte(strings.ToUpper(string(content)))
	for _, c := range []struct {
		name    string
		sent    []byte
		size    int64
		chunked bool
	}{
		{"r-layer-digest", other, int64(len(content)), false},
		{"r-layer-longer", append(bytes.Clone(content), '!'), int64(len(content)), false},
		{"r-layer-longer-chunked", append(other, '!'), int64(len(content)), true},
		{"r-layer-shorter", content[:5999], int64(len(content)), false},
		{"r-layer-shorter-chunked", content[:5999], int64(len(content)), true},
		{"r-huge-size", content, 1 << 50, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if !c.chunked {
					w.Header().Set("Content-Length", fmt.Sprint(len(c.sent)))
				}
				_, _ = w.Write(c.sent)
				_ = http.NewResponseController(w).Flush()
			}))
			got, err := readLayer(pulled(t, r, impatient(), v1.Descriptor{Digest: digestOf(content), Size: c.size}))
			if err == nil || int64(len(got)) == c.size {
				t.Errorf("got %d bytes and error %v", len(got), err)
			}
		})
	}
}

// n-corrupt-once: a layer that was spoilt on its way is refused, and can be read anew.
func TestCorruptOnce(t *testing.T) {
	content := []byte("some layer")
	next, d := blobServer(content)
	r := newRegistry(t, next)
	r.on(http.MethodGet, "/blobs/", 1, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("SOME LAYER")) })
	l := pulled(t, r, impatient(), d)
	if _, err := readLayer(l); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	if got := layerBytes(t, l); !bytes.Equal(got, content) {
		t.Errorf("got %q", got)
	}
}

// A config that was spoilt on its way is asked for once more.
func TestConfigCorruptOnce(t *testing.T) {
	i := goodImage()
	i.finish(nil)
	r := newRegistry(t, i.f)
	config := i.manifest["config"].(map[string]any)
	r.on(http.MethodGet, config["digest"].(string), 1, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte{' '}, int(config["size"].(int64))))
	})
	resolve(t, newClient(t, impatient()), r.tag("app"))
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t *testing.T, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

// Layers are unpacked by what they are, not by what they are called, and checked against the diff ID.
func TestUncompressed(t *testing.T) {
	plain := []byte(strings.Repeat("content of a tar archive\n", 10000))
	skipped := append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}, zstandard(t, plain)...)
	for _, c := range []struct {
		name string
		blob []byte
		ok   bool
	}{
		{"plain", plain, true},
		{"gzip", gzipped(t, plain), true},
		{"t-gzip-many", append(gzipped(t, plain[:1000]), gzipped(t, plain[1000:])...), true},
		{"zstd", zstandard(t, plain), true},
		{"zstd with a skippable frame", skipped, true},
		{"t-gzip-cut", gzipped(t, plain)[:100], false},
		{"t-gzip-tail", append(gzipped(t, plain), "garbage"...), false},
		{"r-diffid", gzipped(t, []byte("something else")), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			next, d := blobServer(c.blob)
			r := newRegistry(t, next)
			l := newClient(t, impatient()).Layer(t.Context(), r.repo("app"), d, digestOf(plain))
			rc, err := l.Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			defer rc.Close()
			got, err := io.ReadAll(rc)
			if c.ok && (err != nil || !bytes.Equal(got, plain)) {
				t.Errorf("got %d bytes and %v", len(got), err)
			}
			if !c.ok {
				wantError(t, err, d.Digest.String())
			}
		})
	}
}

// r-foreign: the URLs in a descriptor are not visited unless that is allowed.
func TestForeignURLs(t *testing.T) {
	content := []byte("a foreign layer")
	elsewhere, d := blobServer(content)
	other, r := newRegistry(t, elsewhere), newRegistry(t, fixed{})
	d.URLs = []string{other.URL + "/" + d.Digest.String()}
	_, err := readLayer(pulled(t, r, impatient(), d))
	wantError(t, err, "404", "unless that is allowed")
	if got := other.requests(); len(got) > 0 {
		t.Errorf("the other host was asked %q", got)
	}
	c := impatient()
	c.ForeignURLs = true
	if got := layerBytes(t, pulled(t, r, c, d)); !bytes.Equal(got, content) {
		t.Errorf("got %q", got)
	}
}

// A layer can be closed while another goroutine waits for its bytes.
func TestCloseWhileReading(t *testing.T) {
	plain := []byte("content")
	next, d := blobServer(gzipped(t, plain))
	r := newRegistry(t, next)
	r.on(http.MethodGet, "/blobs/", always, drip(next, 2, time.Minute))
	l := newClient(t, Config{}).Layer(t.Context(), r.repo("app"), d, digestOf(plain))
	blob, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := io.ReadAll(blob)
		done <- err
	}()
	time.AfterFunc(20*time.Millisecond, func() { _ = blob.Close() })
	if err := <-done; err == nil {
		t.Errorf("all of it was read")
	}
}

func TestEmptyBlob(t *testing.T) {
	next, d := blobServer(nil)
	r := newRegistry(t, next)
	if got := layerBytes(t, pulled(t, r, impatient(), d)); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	d.Digest = digestOf([]byte("x"))
	if _, err := readLayer(pulled(t, r, impatient(), d)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// What is known about a layer without reading it.
func TestLayer(t *testing.T) {
	d := v1.Descriptor{MediaType: types.OCILayer, Digest: digestOf(nil), Size: 5, Annotations: map[string]string{"a": "b"}}
	r := newRegistry(t, nil)
	l := newClient(t, impatient()).Layer(t.Context(), r.repo("app"), d, digestOf([]byte("x")))
	digest, _ := l.Digest()
	diffID, _ := l.DiffID()
	size, _ := l.Size()
	media, _ := l.MediaType()
	full, _ := l.Descriptor()
	if digest != d.Digest || diffID != digestOf([]byte("x")) || size != 5 || media != types.OCILayer || full.Annotations["a"] != "b" || l.Repository() != r.repo("app") {
		t.Errorf("got %s %s %d %s %+v %s", digest, diffID, size, media, full, l.Repository())
	}
	if got := r.requests(); len(got) > 0 {
		t.Errorf("the registry was asked %q", got)
	}
}
