package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/scrypt"
)

func testDigest() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
}

// keys are one key of each kind in PEM.
func keys(t *testing.T) map[string][]byte {
	t.Helper()
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(elliptical)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{
		"sec1":  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}),
		"pkcs1": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(old)}),
	}
	for name, key := range map[string]any{"ecdsa": elliptical, "ed25519": edwards, "rsa": old} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	all["encrypted"] = encrypt(t, all["ecdsa"])
	return all
}

// encrypt encrypts a key as cosign does, but for the cost.
func encrypt(t *testing.T, key []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(key)
	var e encrypted
	e.KDF.Name, e.KDF.Salt = "scrypt", []byte("salt")
	e.KDF.Params.N, e.KDF.Params.R, e.KDF.Params.P = 16, 8, 1
	e.Cipher.Name, e.Cipher.Nonce = "nacl/secretbox", bytes.Repeat([]byte("n"), 24)
	derived, err := scrypt.Key([]byte("password"), e.KDF.Salt, 16, 8, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	e.Ciphertext = secretbox.Seal(nil, block.Bytes, (*[24]byte)(e.Cipher.Nonce), (*[32]byte)(derived))
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: text})
}

// What was signed with a key of any kind is known as such again after it was an image, and nothing else is.
func TestSign(t *testing.T) {
	all := keys(t)
	for name, text := range all {
		t.Run(name, func(t *testing.T) {
			key, err := ParseKey(text, []byte("password"))
			if err != nil {
				t.Fatal(err)
			}
			s, err := key.Sign("registry.example.com/app", testDigest())
			if err != nil {
				t.Fatal(err)
			}
			image, err := Image([]Signature{s})
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, image)
			if len(got) != 1 || !key.Made(got[0], testDigest()) {
				t.Errorf("the signature is not known again: %+v", got)
			}
			other := testDigest()
			other.Hex = other.Hex[:62] + "00"
			if key.Made(got[0], other) {
				t.Error("the signature is taken for one of another manifest")
			}
			got[0].Payload = bytes.Replace(got[0].Payload, []byte("app"), []byte("bad"), 1)
			if key.Made(got[0], testDigest()) {
				t.Error("the signature is good for another text")
			}
		})
	}
}

func read(t *testing.T, image v1.Image) []Signature {
	t.Helper()
	got, err := Read(opened(t, image))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// opened returns an image in the form in which it is read.
func opened(t *testing.T, image v1.Image) (*v1.Manifest, func(v1.Descriptor) (io.ReadCloser, error)) {
	t.Helper()
	m, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m, func(d v1.Descriptor) (io.ReadCloser, error) {
		l, err := image.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		return l.Compressed()
	}
}

// Signatures of others stay as they are.
func TestAdd(t *testing.T) {
	foreign := Signature{Payload: []byte(`{}`), Base64: "AAAA", Annotations: map[string]string{"dev.sigstore.cosign/certificate": "x"}}
	first, err := Image([]Signature{foreign})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Image(append(read(t, first), Signature{Payload: []byte(`{"a":1}`), Base64: "BBBB"}))
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, second)
	if len(got) != 2 || got[0].Base64 != "AAAA" || got[0].Annotations["dev.sigstore.cosign/certificate"] != "x" {
		t.Errorf("got %+v", got)
	}
}

// A statement that was signed with a key of any kind is known as such again after it was an image.
func TestAttest(t *testing.T) {
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://spdx.dev/Document","predicate":{}}`)
	for name, text := range keys(t) {
		key, err := ParseKey(text, []byte("password"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := key.Attest("https://spdx.dev/Document", statement)
		if err != nil {
			t.Fatal(err)
		}
		image, err := AttestationImage([]Attestation{a})
		if err != nil {
			t.Fatal(err)
		}
		m, open := opened(t, image)
		got, err := ReadAttestations(m, open)
		if err != nil || len(got) != 1 || !key.Attested(got[0]) || !bytes.Equal(got[0].Statement(), statement) {
			t.Fatalf("%s: the attestation is not known again: %v, %+v", name, err, got)
		}
		if kind := got[0].PredicateType(); kind != "https://spdx.dev/Document" {
			t.Errorf("%s: got %s", name, kind)
		}
		got[0].Envelope = bytes.Replace(got[0].Envelope, []byte(`"payload":"eyJf`), []byte(`"payload":"eyJg`), 1)
		if key.Attested(got[0]) {
			t.Errorf("%s: the signature is good for another statement", name)
		}
		if _, err := Read(m, open); err == nil {
			t.Errorf("%s: attestations are taken for signatures", name)
		}
	}
}

// The text that is signed is that of the example in the protocol of DSSE.
func TestAuthenticated(t *testing.T) {
	got := authenticated("http://example.com/HelloWorld", []byte("hello world"))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestPayload(t *testing.T) {
	got, err := payload("registry.example.com/app", testDigest())
	want := `{"critical":{"identity":{"docker-reference":"registry.example.com/app"},"image":{"docker-manifest-digest":"` +
		testDigest().String() + `"},"type":"cosign container image signature"},"optional":null}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	if got := Tag(testDigest()); got != "sha256-"+testDigest().Hex+".sig" {
		t.Errorf("got %s", got)
	}
}

func TestBadKeys(t *testing.T) {
	good := encrypt(t, keys(t)["ecdsa"])
	if _, err := ParseKey(good, []byte("wrong")); !errors.Is(err, ErrPassword) {
		t.Errorf("a wrong password: got %v", err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}})
	costly := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte(
		`{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1}},"cipher":{"name":"nacl/secretbox","nonce":"` +
			"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB" + `"}}`)})
	for _, text := range [][]byte{nil, []byte("x"), public, costly} {
		if _, err := ParseKey(text, nil); err == nil {
			t.Errorf("%q is taken for a key", text)
		}
	}
}
