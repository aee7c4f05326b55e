// Package policy decides which sources a build may use, by rules in BuildKit's format
// (https://github.com/moby/buildkit/blob/master/docs/build-repro.md).
//
// A source is named like docker-image://docker.io/library/alpine:3.20, https://example.com/file or
// git://github.com/owner/repository.git#ref, and has attributes. A rule selects sources, and allows, denies or
// converts them. Of the rules of one policy that allow or deny the last that selects a source counts; one that
// converts it makes everything be looked at anew.
package policy
