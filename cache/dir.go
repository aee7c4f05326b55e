//go:build linux

// Package cache remembers the results of steps: key → layer.
//
// A cache may be wrong in one way only, by forgetting. A record that cannot be read, is damaged or
// was made by another version is a miss, and so is one whose layer is gone.
package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/solver"
)

// Layers finds layers by what they hold.
type Layers interface {
	// Layer returns the layer with a content ID. A miss is fs.ErrNotExist.
	Layer(ctx context.Context, content v1.Hash) (v1.Layer, error)
	// Keep makes sure that a layer can be found. One that cannot be kept is fs.ErrNotExist.
	Keep(l v1.Layer) error
}

// Dir keeps records in a directory, beside the layers that they name. Any number of processes may use it
// at once.
//
//	acts/OP/KEY   the record of a key of an operation
//	locks/KEY     locked by the process that runs the step with that key
type Dir struct {
	Path   string
	Layers Layers
}

// record is the form of a solver.Record in a file. The file begins with a line that holds the SHA-256
// of the rest.
type record struct {
	Version int    `json:"version"`
	Text    string `json:"text"`
	// Inputs are hexadecimal, empty for an input that is not made of layers.
	Inputs  []string  `json:"inputs"`
	Content v1.Hash   `json:"content"`
	Made    time.Time `json:"made"`
}

const recordVersion = 2

func (d *Dir) opPath(op v1.Hash) string { return filepath.Join(d.Path, "acts", op.Hex) }

// Known reports whether there is any record of an operation.
func (d *Dir) Known(_ context.Context, op v1.Hash) bool {
	_, err := os.Lstat(d.opPath(op))
	return err == nil
}

// Get returns the record of a key.
func (d *Dir) Get(ctx context.Context, op, key v1.Hash) (solver.Record, error) {
	name := filepath.Join(d.opPath(op), key.Hex)
	b, err := os.ReadFile(name)
	if err != nil {
		return solver.Record{}, miss(err)
	}
	r, err := decode(b, key)
	if err != nil {
		_ = os.Remove(name)
		return solver.Record{}, fmt.Errorf("%w: %s: %w", fs.ErrNotExist, name, err)
	}
	l, err := d.Layers.Layer(ctx, r.Content)
	if err != nil {
		return solver.Record{}, err
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // when it was last used
	found := solver.Record{Op: op, Key: key, Text: r.Text, Inputs: make([]v1.Hash, len(r.Inputs)), Layer: l}
	for i, hex := range r.Inputs {
		if hex != "" {
			found.Inputs[i] = v1.Hash{Algorithm: "sha256", Hex: hex}
		}
	}
	return found, nil
}

// miss makes fs.ErrNotExist of what says that a path cannot be.
func miss(err error) error {
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

func decode(b []byte, key v1.Hash) (r record, err error) {
	sum, rest, ok := bytes.Cut(b, []byte("\n"))
	if !ok || hexSum(rest) != string(sum) {
		return r, errors.New("the record is damaged")
	}
	if err := json.Unmarshal(rest, &r); err != nil {
		return r, err
	}
	if r.Version != recordVersion || hexSum([]byte(r.Text)) != key.Hex {
		return r, errors.New("the record is of something else")
	}
	return r, nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Put remembers a record. What cannot be kept is forgotten at once, which is not an error.
func (d *Dir) Put(_ context.Context, r solver.Record) (solver.Record, error) {
	err := d.Layers.Keep(r.Layer)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	content, err := solver.ContentID(r.Layer)
	if err != nil {
		return r, err
	}
	inputs := make([]string, len(r.Inputs))
	for i, id := range r.Inputs {
		inputs[i] = id.Hex
	}
	rest, err := json.Marshal(record{recordVersion, r.Text, inputs, content, time.Now()})
	if err != nil {
		return r, err
	}
	if err := os.MkdirAll(d.opPath(r.Op), 0o700); err != nil {
		return r, err
	}
	return r, writeFile(filepath.Join(d.opPath(r.Op), r.Key.Hex), append([]byte(hexSum(rest)+"\n"), rest...))
}

// writeFile writes a file so that it appears whole.
func writeFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Lock waits until no other process runs the step with a key. The kernel lets go of the lock of one
// that dies.
func (d *Dir) Lock(ctx context.Context, key v1.Hash) (unlock func(), waited bool, err error) {
	dir := filepath.Join(d.Path, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "step-"+key.Hex), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		waited = true
		err = flockWaiting(ctx, f)
	}
	if err != nil {
		f.Close()
		return nil, waited, fmt.Errorf("locking a step: %w", err)
	}
	return func() { f.Close() }, waited, nil
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// flockWaiting waits for the lock until ctx is done.
func flockWaiting(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(20 * time.Millisecond) // a blocked flock could not be canceled
	defer tick.Stop()
	for {
		if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
