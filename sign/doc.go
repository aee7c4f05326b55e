// Package sign signs images as cosign does with a key: a small text that names the image is signed and put into
// the image's repository as a layer of another image, whose tag is made of the digest
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md). cosign verify --key takes that for its own.
package sign
