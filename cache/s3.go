package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Options say where a bucket is.
type S3Options struct {
	Bucket string
	// Prefix is what all names of objects begin with.
	Prefix string
	// Endpoint is the URL of the server; empty for that of Amazon in the region.
	Endpoint string
	Region   string
	// PathStyle names the bucket in the path and not in the host: what most servers but Amazon's want.
	PathStyle   bool
	Credentials *credentials.Credentials
	Transport   http.RoundTripper
	UserAgent   string
}

// S3 is a bucket of a server that speaks the protocol of Amazon S3.
type S3 struct {
	client         *minio.Client
	bucket, prefix string
}

// partSize is how much of an object is sent in one request.
const partSize = 16 << 20

// NewS3 returns the bucket. Nothing is asked of the server yet.
func NewS3(o S3Options) (*S3, error) {
	region, endpoint := o.Region, o.Endpoint
	if region == "" {
		region = "us-east-1"
	}
	if endpoint == "" {
		endpoint = "https://s3." + region + ".amazonaws.com"
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	if u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("the endpoint %q is not like https://HOST[:PORT]", endpoint)
	}
	lookup := minio.BucketLookupAuto
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: o.Credentials, Secure: u.Scheme == "https", Region: region, BucketLookup: lookup, Transport: o.Transport, MaxRetries: 3,
	})
	if err != nil {
		return nil, err
	}
	client.SetAppInfo(o.UserAgent, "")
	return &S3{client: client, bucket: o.Bucket, prefix: o.Prefix}, nil
}

// Exists implements Bucket.
func (s *S3) Exists(ctx context.Context, name string) (bool, error) {
	_, err := s.client.StatObject(ctx, s.bucket, s.prefix+name, minio.StatObjectOptions{})
	if err == nil {
		return true, nil
	}
	if missing(err) {
		return false, nil
	}
	return false, fmt.Errorf("looking for %s: %w", name, err)
}

// missing reports whether an object does not exist. Without the right to list a bucket Amazon says so by refusing,
// which cannot be told from other refusals.
func missing(err error) bool {
	r := minio.ToErrorResponse(err)
	return r.Code == minio.NoSuchKey || r.StatusCode == http.StatusNotFound && r.Code != minio.NoSuchBucket
}

// Open implements Bucket.
func (s *S3) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	var o minio.GetObjectOptions
	if offset > 0 {
		if err := o.SetRange(offset, 0); err != nil {
			return nil, err
		}
	}
	core := minio.Core{Client: s.client}
	r, _, _, err := core.GetObject(ctx, s.bucket, s.prefix+name, o)
	if missing(err) && err != nil {
		return nil, fmt.Errorf("%w: %s", fs.ErrNotExist, name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return r, nil
}

// Write implements Bucket.
func (s *S3) Write(ctx context.Context, name string, size int64, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = s.client.PutObject(ctx, s.bucket, s.prefix+name, r, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream", PartSize: partSize, NumThreads: 1,
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// Replace implements Bucket.
func (s *S3) Replace(ctx context.Context, name string, content []byte) error {
	return s.Write(ctx, name, int64(len(content)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
}

// OpenLatest implements Bucket.
func (s *S3) OpenLatest(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.Open(ctx, name, 0)
}
