//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

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

// existing returns the signatures that are there.
func (s *signer) existing(ctx context.Context, repo name.Repository, tag string) ([]sign.Signature, error) {
	m, err := s.client.Manifest(ctx, repo.Tag(tag))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if m.Image == nil {
		return nil, fmt.Errorf("the tag %s, which is for signatures, stands for something else", tag)
	}
	return sign.Read(m.Image, func(d v1.Descriptor) (io.ReadCloser, error) {
		return s.client.Layer(ctx, repo, d, d.Digest).Compressed()
	})
}
