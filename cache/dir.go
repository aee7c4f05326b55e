//go:build linux

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
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/wholefile"
)

// Dir keeps records in a directory, beside the layers that they name. Any number of processes may use it
// at once.
//
//	acts/OP/KEY   the record of a key of an operation
//	locks/KEY     locked by the process that runs the step with that key
type Dir struct {
	Path   string
	Layers Layers
	// Temporary is a directory of the same file system, in which records are made.
	Temporary string
	// Trusted are the shared caches whose word is believed. A result that came from another one was kept for
	// builds that do: for this one it is a miss.
	Trusted []string
}

// record is the form of a solver.Record in a file. The file begins with a line that holds the SHA-256
// of the rest.
type record struct {
	Version int `json:"version"`
	// ByContent and ByDefinition are the texts of the keys, one of which the file is named by.
	ByContent    string `json:"byContent,omitempty"`
	ByDefinition string `json:"byDefinition,omitempty"`
	// Inputs are hexadecimal, empty for an input that is not made of layers.
	Inputs  []string `json:"inputs"`
	Content v1.Hash  `json:"content"`
	// Origins are the shared caches whose word the record is; see solver.Record.
	Origins []string  `json:"origins,omitempty"`
	Step    string    `json:"step,omitempty"`
	Made    time.Time `json:"made"`
}

const recordVersion = 3

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
	for _, o := range r.Origins {
		if !slices.Contains(d.Trusted, o) {
			return solver.Record{}, fmt.Errorf("%w: %s came from %s, which this build does not read", fs.ErrNotExist, name, o)
		}
	}
	l, err := d.Layers.Layer(ctx, r.Content)
	if err != nil {
		return solver.Record{}, err
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // when it was last used
	return r.record(op, l), nil
}

func (r *record) record(op v1.Hash, l v1.Layer) solver.Record {
	return solver.Record{
		Op: op, Content: r.ByContent, Definition: r.ByDefinition, Inputs: fromHex(r.Inputs), Layer: l,
		Origins: r.Origins, Step: r.Step,
	}
}

// miss makes fs.ErrNotExist of what says that a path cannot be.
func miss(err error) error {
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

func decode(b []byte, key v1.Hash) (*record, error) {
	sum, rest, ok := bytes.Cut(b, []byte("\n"))
	if !ok || hexSum(rest) != string(sum) {
		return nil, errors.New("the record is damaged")
	}
	var r record
	if err := json.Unmarshal(rest, &r); err != nil {
		return nil, err
	}
	if r.Version != recordVersion || hexSum([]byte(r.ByContent)) != key.Hex && hexSum([]byte(r.ByDefinition)) != key.Hex {
		return nil, errors.New("the record is of something else")
	}
	return &r, nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Put remembers a record under its keys. What cannot be kept is forgotten at once, which is not an error.
func (d *Dir) Put(_ context.Context, r solver.Record) error {
	err := d.Layers.Keep(r.Layer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	content, err := solver.ContentID(r.Layer)
	if err != nil {
		return err
	}
	kept := record{
		Version: recordVersion, ByContent: r.Content, ByDefinition: r.Definition, Inputs: toHex(r.Inputs), Content: content,
		Origins: r.Origins, Step: r.Step, Made: time.Now(),
	}
	if err := d.write(r.Op, r.Content, kept); err != nil {
		return err
	}
	// What the definition promises is only as good as the results below.
	kept.Origins = append(slices.Clone(r.Origins), r.Below...)
	slices.Sort(kept.Origins)
	kept.Origins = slices.Compact(kept.Origins)
	return d.write(r.Op, r.Definition, kept)
}

// write writes the record of the key with a text.
func (d *Dir) write(op v1.Hash, text string, r record) error {
	if text == "" {
		return nil
	}
	rest, err := json.Marshal(r)
	if err != nil {
		return err
	}
	name := filepath.Join(d.opPath(op), hexSum([]byte(text)))
	for {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		err := wholefile.WriteFrom(d.Temporary, name, 0o600, append([]byte(hexSum(rest)+"\n"), rest...))
		// Who has pruned the last record of the operation removes the directory too.
		if _, gone := os.Lstat(filepath.Dir(name)); err == nil || !errors.Is(gone, fs.ErrNotExist) {
			return err
		}
	}
}

// Use implements solver.Cache. Get has noted it.
func (d *Dir) Use(context.Context, solver.Record) {}

// fromHex reads the names of trees, of which some are empty.
func fromHex(list []string) []v1.Hash {
	ids := make([]v1.Hash, len(list))
	for i, hex := range list {
		if hex != "" {
			ids[i] = v1.Hash{Algorithm: "sha256", Hex: hex}
		}
	}
	return ids
}

func toHex(ids []v1.Hash) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = id.Hex
	}
	return list
}
