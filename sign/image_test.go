package sign

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// sized is a manifest of layers of a type that are said to be of some sizes.
func sized(media types.MediaType, sizes ...int64) *v1.Manifest {
	m := &v1.Manifest{}
	for _, size := range sizes {
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: media, Digest: testDigest(), Size: size})
	}
	return m
}

// zeros opens a layer that is as long as it is said to be.
func zeros(d v1.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(make([]byte, d.Size))), nil
}

// What others put under the tag of signatures is not read into memory without end.
func TestReadTooMuch(t *testing.T) {
	for want, sizes := range map[string][]int64{
		"":                            slices.Repeat([]int64{maxSignature}, maxAll/maxSignature),
		"0 to 1048576 are allowed":    {maxSignature + 1},
		"has -1 bytes":                {-1},
		"more than the allowed 67108": slices.Repeat([]int64{maxSignature}, maxAll/maxSignature+1),
		"more than the allowed 1000":  make([]int64, maxBlobs+1),
	} {
		got, err := Read(sized(payloadType, sizes...), zeros)
		if want == "" && (err != nil || len(got) != len(sizes)) {
			t.Errorf("what is allowed: %d signatures, %v", len(got), err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := ReadAttestations(sized(envelopeType, 4*maxSignature), zeros); err != nil {
		t.Errorf("a large statement: %v", err)
	}
	unopened := func(v1.Descriptor) (io.ReadCloser, error) { return nil, errors.New("it is opened") }
	if _, err := ReadAttestations(sized(envelopeType, maxAll+1), unopened); err == nil || strings.Contains(err.Error(), "opened") {
		t.Errorf("too large a statement: %v", err)
	}
}

// A layer is as long as its manifest says.
func TestReadOtherSize(t *testing.T) {
	for _, content := range []string{"12", "1234"} {
		_, err := Read(sized(payloadType, 3), func(v1.Descriptor) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(content)), nil
		})
		if err == nil || !strings.Contains(err.Error(), "has not the 3 bytes") {
			t.Errorf("%q: got %v", content, err)
		}
	}
}
