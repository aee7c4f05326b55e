//go:build linux

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/wholefile"
)

// Check reads all records of the store at path and calls found for each that is damaged, with its path in the store. It
// returns how many there are.
func Check(path string, found func(name string, problem error) error) (int, error) {
	count := 0
	err := eachRecord(path, func(name string, _ *record, err error) error {
		count++
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return found(name, err)
	})
	return count, err
}

// Uses counts for each content ID how many steps gave a layer with it.
func Uses(path string) (map[string]int, error) {
	steps := map[string]map[string]bool{}
	err := eachRecord(path, func(_ string, r *record, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it is of no use
		}
		if steps[r.Content.Hex] == nil {
			steps[r.Content.Hex] = map[string]bool{}
		}
		steps[r.Content.Hex][r.ByContent] = true
		return nil
	})
	uses := make(map[string]int, len(steps))
	for content, by := range steps {
		uses[content] = len(by)
	}
	return uses, err
}

// eachRecord calls visit for every record of a store, or for the error of reading it.
func eachRecord(path string, visit func(name string, r *record, err error) error) error {
	names, err := filepath.Glob(filepath.Join(path, "acts", "*", "*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if wholefile.Unfinished(name) {
			continue
		}
		short, err := filepath.Rel(path, name)
		if err != nil {
			return err
		}
		r, err := readRecord(name)
		if err := visit(short, r, err); err != nil {
			return fmt.Errorf("%s: %w", short, err)
		}
	}
	return nil
}

func readRecord(name string) (*record, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return decode(b, v1.Hash{Algorithm: "sha256", Hex: filepath.Base(name)})
}
