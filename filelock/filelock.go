//go:build linux

// Package filelock locks files between processes with flock(2). The kernel lets go of a lock when the file is closed,
// however its process ends.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Mode says who else may have the lock at the same time.
type Mode int

// The modes.
const (
	// Shared: all who want it shared too.
	Shared Mode = unix.LOCK_SH
	// Exclusive: nobody.
	Exclusive Mode = unix.LOCK_EX
)

// ErrBusy is the error of who does not wait for a lock that another has.
var ErrBusy = errors.New("another process has the lock")

// How often is looked whether a lock is free: a wait that can be canceled has to be made of tries.
const (
	firstPoll   = 2 * time.Millisecond
	longestPoll = 50 * time.Millisecond
)

// Wait locks the file called name and waits for that until ctx is done; waited says that another process had it. The file
// and its directory are made if they are missing. Who has the lock may remove both before the file is closed, so that
// nothing is left: then others get that of the file that has the name next.
func Wait(ctx context.Context, name string, mode Mode) (f *os.File, waited bool, err error) {
	for wait := firstPoll; ; wait = min(2*wait, longestPoll) {
		f, err := Try(name, mode)
		switch {
		case err == nil:
			return f, waited, nil
		case errors.Is(err, ErrBusy):
			waited = true
		case errors.Is(err, fs.ErrNotExist): // the directory is missing
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err == nil {
				continue
			} else if !errors.Is(err, fs.ErrExist) || occupied(filepath.Dir(name)) {
				return nil, waited, err
			}
		default:
			return nil, waited, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, waited, err
		}
	}
}

// occupied reports whether something other than a directory has a name.
func occupied(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && !info.IsDir()
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Try locks the file called name, which is made if it is missing, or fails with ErrBusy.
func Try(name string, mode Mode) (*os.File, error) {
	return TryOpen(name, os.O_RDWR|os.O_CREATE, mode)
}

// TryOpen is [Try] for a file that is opened with flags of its own, such as one that must be there already.
func TryOpen(name string, flag int, mode Mode) (*os.File, error) {
	return open(name, flag, int(mode)|unix.LOCK_NB)
}

// Block locks a file that nobody removes, and that nobody has for long, however long that takes.
func Block(name string, mode Mode) (*os.File, error) {
	return open(name, os.O_RDWR|os.O_CREATE, int(mode))
}

func open(name string, flag, how int) (*os.File, error) {
	f, err := os.OpenFile(name, flag|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = flock(f, how)
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !isAt(f, name) {
		err = ErrBusy
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// isAt reports whether f is still the file called name. If it is not, its lock keeps nobody out.
func isAt(f *os.File, name string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(open, there)
}

// Remove removes a file whose lock one has, and lets go of the lock.
func Remove(f *os.File) {
	_ = os.Remove(f.Name())
	f.Close()
}
