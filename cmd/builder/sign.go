//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/sign"
)

// readKey reads the key of --sign: a file, or a variable as env://NAME.
func (o *buildOptions) readKey() error {
	from := o.supply.sign
	if from == "" {
		return nil
	}
	var text []byte
	if variable, ok := strings.CutPrefix(from, "env://"); ok {
		text = []byte(os.Getenv(variable))
	} else {
		var err error
		if text, err = os.ReadFile(from); err != nil {
			return fmt.Errorf("--sign: %w", err)
		}
	}
	key, err := sign.ParseKey(text, []byte(os.Getenv("COSIGN_PASSWORD")))
	if errors.Is(err, sign.ErrPassword) {
		err = fmt.Errorf("%w: it is taken from $COSIGN_PASSWORD", err)
	}
	if err != nil {
		return fmt.Errorf("--sign %s: %w", from, err)
	}
	o.key = key
	for _, spec := range o.outputs {
		if spec.push {
			return nil
		}
	}
	return errors.New("--sign: a signature is put into the registry beside the image, and nothing is pushed")
}

// signing returns what signs what is pushed; nil if nothing does.
func (b *build) signing() func(context.Context, name.Repository, v1.Hash) (v1.Image, string, error) {
	if b.key == nil {
		return nil
	}
	return (&signer{b.key, b.client}).signature
}

// attesting returns what signs what is attested of what is pushed; nil if nothing does.
func (b *build) attesting() func(context.Context, name.Repository, v1.Hash, []exporter.Statement) (v1.Image, string, error) {
	if b.key == nil {
		return nil
	}
	return (&signer{b.key, b.client}).attestations
}

// signer signs what is pushed.
type signer struct {
	key    *sign.Key
	client *registry.Client
}

// signature returns the signatures of a manifest with ours added, and their tag. It is nil if ours is there.
func (s *signer) signature(ctx context.Context, repo name.Repository, digest v1.Hash) (v1.Image, string, error) {
	tag := sign.Tag(digest)
	all, err := s.existing(ctx, repo, tag)
	if err != nil {
		return nil, "", err
	}
	for _, one := range all {
		if s.key.Made(one, digest) {
			return nil, "", nil
		}
	}
	ours, err := s.key.Sign(strings.Replace(repo.Name(), "index.docker.io/", "docker.io/", 1), digest)
	if err != nil {
		return nil, "", err
	}
	image, err := sign.Image(append(all, ours))
	return image, tag, err
}

// attestations returns the signed statements about a manifest with ours added, and their tag. What was signed with the
// key before and is of the same type is left out. It is nil if just ours are there.
func (s *signer) attestations(ctx context.Context, repo name.Repository, digest v1.Hash, statements []exporter.Statement) (v1.Image, string, error) {
	tag := sign.AttestationTag(digest)
	m, err := s.manifest(ctx, repo, tag)
	if err != nil {
		return nil, "", err
	}
	there, err := sign.ReadAttestations(m, s.opener(ctx, repo))
	if err != nil {
		return nil, "", err
	}
	all := slices.DeleteFunc(slices.Clone(there), func(a sign.Attestation) bool { return s.outdated(a, statements) })
	changed := len(all) < len(there)
	for _, one := range statements {
		if slices.ContainsFunc(all, func(a sign.Attestation) bool { return bytes.Equal(a.Statement(), one.Raw) && s.key.Attested(a) }) {
			continue
		}
		ours, err := s.key.Attest(one.PredicateType, one.Raw)
		if err != nil {
			return nil, "", err
		}
		all, changed = append(all, ours), true
	}
	if !changed {
		return nil, "", nil
	}
	image, err := sign.AttestationImage(all)
	return image, tag, err
}

// outdated reports whether an attestation was signed with the key and a statement of its type has taken its place.
func (s *signer) outdated(a sign.Attestation, statements []exporter.Statement) bool {
	kind, replaced := a.PredicateType(), false
	for _, one := range statements {
		if bytes.Equal(one.Raw, a.Statement()) {
			return false
		}
		replaced = replaced || one.PredicateType == kind
	}
	return replaced && s.key.Attested(a)
}

// existing returns the signatures that are there.
func (s *signer) existing(ctx context.Context, repo name.Repository, tag string) ([]sign.Signature, error) {
	m, err := s.manifest(ctx, repo, tag)
	if err != nil {
		return nil, err
	}
	return sign.Read(m, s.opener(ctx, repo))
}

// manifest returns the manifest of signed texts under a tag, one without any if there is none.
func (s *signer) manifest(ctx context.Context, repo name.Repository, tag string) (*v1.Manifest, error) {
	m, err := s.client.Manifest(ctx, repo.Tag(tag))
	if errors.Is(err, fs.ErrNotExist) {
		return &v1.Manifest{}, nil
	}
	if err != nil {
		return nil, err
	}
	if m.Image == nil {
		return nil, fmt.Errorf("the tag %s, which is for signatures, stands for something else", tag)
	}
	return m.Image, nil
}

// opener opens blobs of a repository.
func (s *signer) opener(ctx context.Context, repo name.Repository) func(v1.Descriptor) (io.ReadCloser, error) {
	return func(d v1.Descriptor) (io.ReadCloser, error) {
		return s.client.Layer(ctx, repo, d, d.Digest).Compressed()
	}
}
