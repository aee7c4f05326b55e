//go:build linux

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// defaultMaxStorage bounds the store if nothing else is said.
const defaultMaxStorage = "10%"

func addMaxStorage(s *pflag.FlagSet, value *string) {
	s.StringVar(value, "max-storage", "", "size that the store may have when a build ends, such as 20GB, 10% of the disk, or none (default 10%, looked at once an hour)")
}

// bound removes what was not used for longest when the build has ended and the store is larger than --max-storage allows.
// What the build itself uses stays.
func (b *build) bound() error {
	limit, err := b.storageLimit()
	if err != nil || limit < 0 {
		return err
	}
	if b.maxStorage == "" {
		err = b.store.Bound(limit)
	} else {
		err = b.store.BoundNow(limit)
	}
	if err != nil {
		b.notice(fmt.Sprintf("the store could not be kept below %s: %v", formatSize(limit), err))
	}
	return nil
}

// storageLimit is the bound in bytes, negative for none.
func (b *build) storageLimit() (int64, error) {
	value := first(b.maxStorage, defaultMaxStorage)
	if value == "none" {
		return -1, nil
	}
	percent, ok := strings.CutSuffix(value, "%")
	if !ok {
		return parseSize(value)
	}
	share, err := strconv.ParseFloat(percent, 64)
	if err != nil {
		return 0, err
	}
	disk, err := b.store.DiskSize()
	return int64(float64(disk) * share / 100), err
}

// readMaxStorage checks --max-storage.
func (o *buildOptions) readMaxStorage() error {
	value := o.maxStorage
	percent, ok := strings.CutSuffix(value, "%")
	switch {
	case value == "", value == "none":
		return nil
	case ok:
		if n, err := strconv.ParseFloat(percent, 64); err != nil || n < 0 || n > 100 {
			return fmt.Errorf("--max-storage %s: it must be like 10%%", value)
		}
		return nil
	}
	if _, err := parseSize(value); err != nil {
		return errors.New("--max-storage " + value + ": it must be like 20GB, 10% or none")
	}
	return nil
}
