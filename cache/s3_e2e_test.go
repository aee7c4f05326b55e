//go:build linux && e2e

package cache

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// gateway is a server that speaks S3, made by others. It is installed by the test, so that its needs are not ours.
const gateway = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

func TestS3(t *testing.T) {
	dir := t.TempDir()
	url := startGateway(t, dir)
	for _, prefix := range []string{"", "team/"} {
		open := func() both {
			s, err := NewS3(S3Options{
				Bucket: "bucket", Prefix: prefix, Endpoint: url, PathStyle: true, Transport: http.DefaultTransport,
				Credentials: credentials.NewStaticV4("access", "secret", ""), UserAgent: "test",
			})
			if err != nil {
				t.Fatal(err)
			}
			return &Objects{Bucket: s}
		}
		wantReplaced(t, open)
		contract(t, open, func(t *testing.T) { damageFiles(t, filepath.Join(dir, "bucket", prefix, "blobs", "sha256")) })
	}
}

// A large object goes in several parts, also when it comes from something that cannot be read twice.
func TestS3Parts(t *testing.T) {
	url := startGateway(t, t.TempDir())
	s, err := NewS3(S3Options{
		Bucket: "bucket", Endpoint: url, PathStyle: true, Transport: http.DefaultTransport,
		Credentials: credentials.NewStaticV4("access", "secret", ""), UserAgent: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), (2*partSize+5000)/16)
	err = s.Write(t.Context(), "large", int64(len(content)), func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(content))), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), "large", 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content[1000:]) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	refused, err := NewS3(S3Options{
		Bucket: "bucket", Endpoint: url, PathStyle: true, Transport: http.DefaultTransport,
		Credentials: credentials.NewStaticV4("access", "wrong", ""), UserAgent: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := refused.Exists(t.Context(), "large"); err == nil {
		t.Error("the wrong secret was good enough")
	}
}

// startGateway starts the server on a directory with an empty bucket and returns its URL.
func startGateway(t *testing.T, dir string) string {
	t.Helper()
	bin := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", gateway)
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("installing %s: %v\n%s", gateway, err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "bucket"), 0o755); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	server := exec.CommandContext(t.Context(), filepath.Join(bin, "versitygw"), "--port", address, "--access", "access", "--secret", "secret", "posix", dir)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() }) // the context has ended it
	for deadline := time.Now().Add(30 * time.Second); ; {
		if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
			_ = c.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not answer")
		}
		wait(t.Context(), 20*time.Millisecond)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
