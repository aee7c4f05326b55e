//go:build linux

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Keys in files are served as an agent serves them, until the workshop is closed.
func TestServeKeys(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	public := writeKey(t, name, "")
	w := &workshop{}
	o := &buildOptions{agents: map[string]string{}, keys: map[string][]string{"deploy": {name}}}
	if err := w.serveKeys(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", o.agents["deploy"])
	if err != nil {
		t.Fatal(err)
	}
	signature, err := agent.NewClient(c).Sign(public, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if err := public.Verify([]byte("text"), signature); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for _, undo := range w.closing {
		if err := undo(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(o.agents["deploy"]); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestServeKeysErrors(t *testing.T) {
	dir := t.TempDir()
	locked, text := filepath.Join(dir, "locked"), filepath.Join(dir, "text")
	writeKey(t, locked, "secret")
	if err := os.WriteFile(text, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		locked:                        "is protected by a passphrase",
		text:                          "is neither the socket of an agent nor a private key",
		filepath.Join(dir, "nothing"): "no such file",
	} {
		w := &workshop{}
		err := w.serveKeys(t.Context(), &buildOptions{agents: map[string]string{}, keys: map[string][]string{"default": {name}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// writeKey writes a new private key to a file and returns its public half.
func writeKey(t *testing.T, name, passphrase string) ssh.PublicKey {
	t.Helper()
	half, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(half)
	if err != nil {
		t.Fatal(err)
	}
	return public
}
