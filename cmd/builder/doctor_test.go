//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/solver/sandbox"
)

func TestPrintReport(t *testing.T) {
	r := report{
		Version: "v1", Platform: "linux/amd64", Rung: sandbox.RungSingle, Runs: true,
		Refusals: []sandbox.Refusal{{Rung: sandbox.RungUserns, Why: "newuidmap is not installed", Fix: "apt-get install uidmap"}},
		Sections: []section{{"network", []sandbox.Probe{
			{Name: "pasta", OK: true, Found: "/usr/bin/pasta"},
			{Name: "memory", Found: "permission denied", Errno: "EACCES", Fix: "delegate"},
			{Name: "pids", Found: "permission denied", Errno: "EACCES", Fix: "delegate"},
		}}},
	}
	const want = `builder v1 linux/amd64

sandbox: single (user, mount and pid namespaces with one id; owners of files are recorded instead of set)
         not userns: newuidmap is not installed
           to have it: apt-get install uidmap

network
  ok  pasta   /usr/bin/pasta
  no  memory  EACCES: permission denied
  no  pids    EACCES: permission denied
              to change that: delegate
`
	var b strings.Builder
	if err := printReport(&b, r); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A store that is yet to be made is judged by where it would be; other directories must be there.
func TestAskDirectory(t *testing.T) {
	dir := t.TempDir()
	if p := askDirectory("store", filepath.Join(dir, "a", "b"), "elsewhere"); !p.OK && p.Errno != "" {
		t.Errorf("a store that can be made: %+v", p)
	}
	if p := askDirectory("home", filepath.Join(dir, "a"), "elsewhere"); p.OK || p.Errno != "ENOENT" || p.Fix != "elsewhere" {
		t.Errorf("a home that is not there: %+v", p)
	}
}

func TestAskProxyHidesPasswords(t *testing.T) {
	t.Setenv("https_proxy", "http://user:hunter2@proxy.example:3128")
	if p := askProxy(); strings.Contains(p.Found, "hunter2") || !strings.Contains(p.Found, "proxy.example:3128") {
		t.Errorf("got %q", p.Found)
	}
}

func TestAskRegistries(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_AUTH_CONFIG", "")
	t.Setenv("REGISTRY_AUTH_FILE", "")
	config := `{"auths":{"ghcr.io":{"auth":"dXNlcjpodW50ZXIy"}},"credHelpers":{"ecr.example":"no-such-helper"}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	probes := askRegistries()
	if got, want := probes[0].Found, "credentials for ghcr.io; docker-credential-no-such-helper for ecr.example"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := probes[1]; got.OK || got.Name != "docker-credential-no-such-helper" {
		t.Errorf("got %+v, want the helper missing", got)
	}
}

func TestReadResources(t *testing.T) {
	f := resourceFlags{memory: "64m", memorySwap: "96m", cpus: "1.5", pids: -1, list: []string{"cpu-shares=512"}}
	got, err := f.read()
	want := sandbox.Resources{Memory: 64 << 20, MemorySwap: 96 << 20, CPUShares: 512, CPUPeriod: 100_000, CPUQuota: 150_000, Pids: -1}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, wrong := range []resourceFlags{
		{memory: "much"},
		{memorySwap: "1g"},
		{memory: "2g", memorySwap: "1g"},
		{cpus: "0"},
		{cpus: "nan"},
		{cpus: "1", cpuQuota: 5},
		{list: []string{"gpu=1"}},
		{list: []string{"cpu-quota=x"}},
	} {
		if got, err := wrong.read(); err == nil {
			t.Errorf("%+v was understood as %+v", wrong, got)
		}
	}
}
