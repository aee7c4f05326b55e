package platforms

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func mustParse(t *testing.T, name string) v1.Platform {
	t.Helper()
	p, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		want, have string
		match      bool
	}{
		{"linux/amd64", "linux/amd64", true},
		{"linux/amd64", "linux/amd64/v2", false},
		{"linux/amd64/v2", "linux/amd64", true},
		{"linux/amd64/v3", "linux/amd64/v2", true},
		{"linux/amd64", "linux/386", true},
		{"linux/386", "linux/amd64", false},
		{"linux/amd64", "windows/amd64", false},
		{"linux/arm/v7", "linux/arm/v6", true},
		{"linux/arm/v7", "linux/arm/v5", true},
		{"linux/arm/v6", "linux/arm/v7", false},
		{"linux/arm/v7", "linux/arm64", false},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/arm64", "linux/arm/v7", true},
		{"linux/arm64", "linux/arm64/v8.1", false},
		{"linux/arm64/v8.2", "linux/arm64/v8.1", true},
		{"linux/arm64/v8.2", "linux/arm64", true},
		{"linux/arm64/v9", "linux/arm64/v8.5", true},
		{"linux/arm64/v9.1", "linux/arm64/v9", true},
		{"linux/arm64/v9.1", "linux/arm64/v8", true},
		{"linux/arm64/v9", "linux/arm64/v8.6", false},
		{"windows/amd64", "windows(10.0.17763.1)/amd64", true},
		{"windows(10.0.17763)/amd64", "windows(10.0.17763.1)/amd64", true},
		{"windows(10.0.17763)/amd64", "windows(10.0.177631)/amd64", false},
		{"windows(10.0.17763)/amd64", "windows/amd64", true},
		{"windows/amd64", "windows(10.0.17763.1+win32k)/amd64", true},
		{"linux/amd64", "linux(+erofs)/amd64", false},
		{"linux(+erofs)/amd64", "linux/amd64", true},
		{"linux/riscv64", "linux/riscv64", true},
	} {
		if got := Match(mustParse(t, tt.want), mustParse(t, tt.have)); got != tt.match {
			t.Errorf("%s for %s: got %v", tt.have, tt.want, got)
		}
	}
}

func TestBest(t *testing.T) {
	for _, tt := range []struct {
		want  string
		index []string
		best  int
	}{
		{"linux/arm/v7", []string{"linux/arm/v5", "linux/arm/v6", "linux/arm64"}, 1},
		{"linux/arm/v7", []string{"linux/arm/v5", "linux/arm/v7", "linux/arm/v7"}, 1},
		{"linux/amd64", []string{"linux/386", "linux/amd64"}, 1},
		{"linux/amd64/v3", []string{"linux/amd64", "linux/amd64/v2", "linux/386"}, 1},
		{"linux/arm64", []string{"linux/arm/v7", "linux/arm64/v8"}, 1},
		{"windows/amd64", []string{"linux/amd64", "windows(10.0.17763.1)/amd64", "windows(10.0.20348.1)/amd64"}, 1},
		{"windows(10.0.20348)/amd64", []string{"windows(10.0.17763.1)/amd64", "windows(10.0.20348.1)/amd64"}, 1},
		{"linux/s390x", []string{"linux/amd64", "linux/arm64"}, -1},
	} {
		var manifests []v1.Descriptor
		for i, name := range tt.index {
			p := mustParse(t, name)
			manifests = append(manifests, v1.Descriptor{Size: int64(i), Platform: &p})
		}
		manifests = append(manifests, v1.Descriptor{Size: 99}) // an attestation, or an index that says nothing
		got, ok := Best(mustParse(t, tt.want), manifests)
		if ok != (tt.best >= 0) || ok && got.Size != int64(tt.best) {
			t.Errorf("%s of %v: got %d, %v", tt.want, tt.index, got.Size, ok)
		}
	}
}
