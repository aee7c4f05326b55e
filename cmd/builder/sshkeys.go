//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxKey is the size in bytes that a file with a private key may have.
const maxKey = 64 << 10

// serveKeys makes agents of the private keys that --ssh names. They live as long as the workshop.
func (w *workshop) serveKeys(ctx context.Context, o *buildOptions) error {
	for id, files := range o.keys {
		keys, err := readKeys(files)
		if err != nil {
			return usagef("--ssh %s=%s: %w", id, strings.Join(files, ","), err)
		}
		if o.agents[id], err = w.serveAgent(ctx, keys); err != nil {
			return fmt.Errorf("serving the keys of --ssh %s: %w", id, err)
		}
	}
	return nil
}

// readKeys returns what holds the private keys in files.
func readKeys(files []string) (agent.Agent, error) { //nolint:ireturn // there is no type for it
	keys := agent.NewKeyring()
	for _, name := range files {
		key, err := readKey(name)
		if err != nil {
			return nil, err
		}
		if err := keys.Add(agent.AddedKey{PrivateKey: key, Comment: name}); err != nil {
			return nil, fmt.Errorf("using %s: %w", name, err)
		}
	}
	return keys, nil
}

func readKey(name string) (any, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		return nil, fmt.Errorf("%s is protected by a passphrase: add it to an agent with ssh-add", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is neither the socket of an agent nor a private key: %w", name, err)
	}
	return key, nil
}

// serveAgent answers for keys on a socket, and returns its path.
func (w *workshop) serveAgent(ctx context.Context, keys agent.Agent) (string, error) {
	dir, err := os.MkdirTemp("", "builder-") // a short name: that of a socket may have 107 bytes
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, "agent")
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", at)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	var serving sync.WaitGroup
	serving.Go(func() { answerAll(listener, keys) })
	w.closing = append(w.closing, func() error {
		err := errors.Join(listener.Close(), os.RemoveAll(dir))
		serving.Wait()
		return err
	})
	return at, nil
}

// answerAll answers whoever connects, until the listener is closed and all have gone.
func answerAll(listener net.Listener, keys agent.Agent) {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		serving.Go(func() {
			_ = agent.ServeAgent(keys, c) // it ends with an error whenever the other side goes
			_ = c.Close()
		})
	}
}
