//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/seed-298d225e/builder/cache"
)

// openS3 opens the bucket of a cache. What is not said about the access to it is taken from where Amazon's own tools
// take it: the environment, the files of the user, the role of the machine.
func openS3(fields map[string]string) (*cache.S3, error) {
	chain := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}}
	if fields["access_key_id"] != "" {
		chain = []credentials.Provider{&credentials.Static{Value: credentials.Value{
			AccessKeyID: fields["access_key_id"], SecretAccessKey: fields["secret_access_key"], SessionToken: fields["session_token"],
			SignerType: credentials.SignatureV4,
		}}}
	}
	path, err := strconv.ParseBool(first(fields["use_path_style"], "false"))
	if err != nil {
		return nil, fmt.Errorf("use_path_style=%s: it must be true or false", fields["use_path_style"])
	}
	return cache.NewS3(cache.S3Options{
		Bucket: fields["bucket"], Prefix: s3Prefix(fields), PathStyle: path,
		Endpoint:    first(fields["endpoint_url"], os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")),
		Region:      first(fields["region"], os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
		Credentials: credentials.NewChainCredentials(chain), Transport: cacheTransport(), UserAgent: userAgent(),
	})
}

// s3Prefix is what all names of objects begin with.
func s3Prefix(fields map[string]string) string {
	if fields["name"] == "" {
		return fields["prefix"]
	}
	return fields["prefix"] + fields["name"] + "/"
}

// openGHA opens the cache of GitHub Actions.
func openGHA(fields map[string]string) (*cache.GHA, error) {
	return cache.NewGHA(cache.GHAOptions{
		URL:   first(fields["url_v2"], fields["url"], os.Getenv("ACTIONS_RESULTS_URL")),
		Token: first(fields["token"], os.Getenv("ACTIONS_RUNTIME_TOKEN")), Scope: ghaScope(fields),
		Client: &http.Client{Transport: cacheTransport()}, UserAgent: userAgent(),
	})
}

func ghaScope(fields map[string]string) string { return first(fields["scope"], "builder") }

// cacheTransport sends requests to servers that are no registries.
func cacheTransport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 32, ResponseHeaderTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout: time.Minute,
	}
}
