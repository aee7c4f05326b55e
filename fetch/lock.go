//go:build linux

package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/httpclient"
)

// How often is looked whether a lock is free: a wait that can be cancelled has to be made of tries.
const (
	firstPoll   = 5 * time.Millisecond
	longestPoll = 250 * time.Millisecond
)

// lock locks the file called name, which is made if it is missing, and waits for that until ctx is done. The
// lock ends when the file is closed.
func lock(ctx context.Context, name string) (*os.File, error) {
	for wait := firstPoll; ; wait = min(2*wait, longestPoll) {
		f, err := tryLock(name)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", name, err)
		}
		if err := httpclient.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// tryLock is lock without waiting: a lock that another has is EWOULDBLOCK.
func tryLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return locked(f, name, unix.LOCK_EX)
}

// holdDir locks a directory shared, so that nobody removes it. One that somebody is removing is EWOULDBLOCK.
func holdDir(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return locked(f, name, unix.LOCK_SH)
}

// locked locks f, which was opened as name, or closes it. If name has become another file meanwhile the lock
// would be worth nothing.
func locked(f *os.File, name string, how int) (*os.File, error) {
	err := flock(f, how|unix.LOCK_NB)
	if err == nil && !isAt(f, name) {
		err = unix.EWOULDBLOCK
	}
	if err != nil {
		f.Close()
		return nil, err
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

// isAt reports whether f is still the file called name.
func isAt(f *os.File, name string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(open, there)
}
