package registry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
)

func TestReadHosts(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       map[string]Host
	}{
		{"nothing", "unqualified-search-registries = [\"docker.io\"]\n[worker.oci]\nenabled = true\n", nil},
		{"buildkitd.toml", `
			[registry."docker.io"]
			mirrors = ["mirror.example.com/hub", "other.example.com:5000"]
			[registry."mirror.example.com"]
			http = true
			[registry."r.example.com"]
			insecure = true
			ca = ["ca.pem", "/etc/ca.pem"]
			[[registry."r.example.com".keypair]]
			key = "key.pem"
			cert = "cert.pem"
		`, map[string]Host{
			"docker.io":          {Mirrors: []string{"mirror.example.com/hub", "other.example.com:5000"}},
			"mirror.example.com": {Scheme: "http"},
			"r.example.com":      {SkipVerify: true, CA: []string{"/conf/ca.pem", "/etc/ca.pem"}, ClientCert: "/conf/cert.pem", ClientKey: "/conf/key.pem"},
		}},
		{"registries.conf", `
			[[registry]]
			location = "docker.io"
			[[registry.mirror]]
			location = "mirror.example.com/hub"
			insecure = true
			[[registry]]
			prefix = "old.example.com"
			location = "new.example.com/old"
			[[registry]]
			location = "bad.example.com"
			blocked = true
		`, map[string]Host{
			"docker.io":          {Mirrors: []string{"mirror.example.com/hub"}},
			"mirror.example.com": {SkipVerify: true},
			"old.example.com":    {Mirrors: []string{"new.example.com/old"}, Replaced: true},
			"new.example.com":    {},
			"bad.example.com":    {Blocked: true},
		}},
	} {
		got, err := parseHosts([]byte(c.text), "/conf")
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
	for _, wrong := range []string{"registry = 1", "[[registry]]\nprefix = \"*.example.com\"", "[[registry]]\nlocation = \"example.com/team\"", "[registry"} {
		if got, err := parseHosts([]byte(wrong), ""); err == nil {
			t.Errorf("%q is taken for %v", wrong, got)
		}
	}
}

func TestCertificateDirs(t *testing.T) {
	dir := t.TempDir()
	of := filepath.Join(dir, "r.example.com:5000")
	if err := os.Mkdir(of, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.crt", "client.cert", "client.key", "README"} {
		if err := os.WriteFile(filepath.Join(of, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var h Host
	if err := h.addCertificates(of); err != nil {
		t.Fatal(err)
	}
	want := Host{CA: []string{of + "/ca.crt"}, ClientCert: of + "/client.cert", ClientKey: of + "/client.key"}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(filepath.Join(of, "client.key")); err != nil {
		t.Fatal(err)
	}
	if err := h.addCertificates(of); err == nil {
		t.Error("a certificate without its key is taken")
	}
	if err := h.addCertificates(filepath.Join(dir, "absent")); err != nil {
		t.Error(err)
	}
}

func tagOf(t *testing.T, text string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(text)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

// A registry that another stands for is never asked, and one that is blocked neither.
func TestReplacedRegistry(t *testing.T) {
	r := newRegistry(t, nil)
	image := r.fill("hub/library/app", 100, 1)
	c := newClient(t, Config{Hosts: map[string]Host{
		"old.invalid": {Mirrors: []string{r.host + "/hub/library"}, Replaced: true},
		"bad.invalid": {Blocked: true},
	}})
	got := resolve(t, c, tagOf(t, "old.invalid/app:latest"))
	want, _ := image.Digest()
	if got.Manifest.Descriptor.Digest != want {
		t.Errorf("got %s, want %s", got.Manifest.Descriptor.Digest, want)
	}
	_, err := c.Resolve(t.Context(), tagOf(t, "old.invalid/missing:latest"), anyOf)
	wantError(t, err, "404")
	_, err = c.Resolve(t.Context(), tagOf(t, "bad.invalid/app:latest"), anyOf)
	wantError(t, err, "bad.invalid", "blocked by the configuration")
}
