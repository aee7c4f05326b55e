package sign

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// payloadType is the media type of a signed text, annotation holds its signature.
const (
	payloadType types.MediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
	annotation  string          = "dev.cosignproject.cosign/signature"
)

// Tag is the tag of the signatures of a manifest.
func Tag(digest v1.Hash) string { return digest.Algorithm + "-" + digest.Hex + ".sig" }

// Signature is a signed text about a manifest.
type Signature struct {
	Payload []byte
	// Base64 is the signature of Payload.
	Base64 string
	// Annotations are what else is said of it, such as a certificate.
	Annotations map[string]string
}

// Sign signs a manifest in a repository, such as registry.example.com/team/app.
func (k *Key) Sign(repository string, digest v1.Hash) (Signature, error) {
	payload, err := payload(repository, digest)
	if err != nil {
		return Signature{}, err
	}
	signature, err := k.sign(payload)
	return Signature{Payload: payload, Base64: base64.StdEncoding.EncodeToString(signature)}, err
}

// payload is what is signed (https://github.com/containers/image/blob/main/docs/containers-signature.5.md).
func payload(repository string, digest v1.Hash) ([]byte, error) {
	type identity struct {
		Reference string `json:"docker-reference"`
	}
	type image struct {
		Digest string `json:"docker-manifest-digest"`
	}
	type critical struct {
		Identity identity `json:"identity"`
		Image    image    `json:"image"`
		Type     string   `json:"type"`
	}
	return json.Marshal(struct {
		Critical critical `json:"critical"`
		Optional any      `json:"optional"`
	}{Critical: critical{identity{repository}, image{digest.String()}, "cosign container image signature"}})
}

// Made reports whether s is a signature of a manifest that was made with the key, for whatever repository.
func (k *Key) Made(s Signature, digest v1.Hash) bool {
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || !k.verifies(s.Payload, raw) {
		return false
	}
	var p struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	return json.Unmarshal(s.Payload, &p) == nil && p.Critical.Image.Digest == digest.String()
}

// Image returns signatures as the image that holds them.
func Image(signatures []Signature) (v1.Image, error) {
	var blobs []blob
	for _, s := range signatures {
		annotations := map[string]string{annotation: s.Base64}
		maps.Copy(annotations, s.Annotations)
		blobs = append(blobs, blob{s.Payload, annotations})
	}
	return pack(payloadType, blobs)
}

// Read returns the signatures that an image holds, whose manifest is m and whose layers open opens.
func Read(m *v1.Manifest, open func(v1.Descriptor) (io.ReadCloser, error)) ([]Signature, error) {
	blobs, err := unpack(m, payloadType, maxSignature, open)
	if err != nil {
		return nil, fmt.Errorf("reading signatures: %w", err)
	}
	var all []Signature
	for _, b := range blobs {
		all = append(all, Signature{Payload: b.content, Base64: b.annotations[annotation], Annotations: b.annotations})
	}
	return all, nil
}
